// tables.h: the tables of include/bgworker/, one file each, for the one that leads to them.

#pragma once

#include "include/bgworker.h"

namespace bgworker::face {

extern const bgworker_shmem_api kShmemApi;
extern const bgworker_dsm_api kDsmApi;
extern const bgworker_latch_api kLatchApi;
extern const bgworker_spinlock_api kSpinlockApi;
extern const bgworker_lwlock_api kLwlockApi;
extern const bgworker_cv_api kCvApi;
extern const bgworker_barrier_api kBarrierApi;
extern const bgworker_mq_api kMqApi;
extern const bgworker_hash_api kHashApi;

}  // namespace bgworker::face
