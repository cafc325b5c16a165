// messages.ts: the sentences about shared memory. Each names the thing, the rule and the remedy.

import type { RefusalCode } from '../errors.ts';
import { quote } from '../messages.ts';

export function notAttached(what: string): string {
  return `${what} lies in shared memory that is not mapped in this process; register the worker with the flag SHMEM_ACCESS, and use it from the worker's main on, and in a dynamic segment only until that is detached`;
}

// Structs.

export function structSubject(name: unknown): string {
  return typeof name === 'string' ? `shared struct "${name}"` : 'shared struct';
}

export function misplaced(what: string, alignment: number, byteOffset: number): string {
  return `${what} must start at a multiple of ${alignment} bytes, got ${quote(byteOffset)}`;
}

export function doesNotFit(what: string, byteLength: number, room: number): string {
  return `${what} needs ${byteLength} bytes, and there are ${room} of them in this place`;
}

export function bytesOutside(what: string, at: unknown, length: number, size: number): string {
  return `${what} has ${size} bytes: ${length} of them at offset ${quote(at)} are not all inside`;
}

// What has a name.

export function sharedName(verb: string, limit: number, got: unknown): string {
  return `${verb}(): name must be a string of 1 to ${limit} bytes without a NUL, got ${quote(got)}`;
}

export function dynamicName(verb: string, got: unknown): string {
  return `${verb}: name must be a string of 1 to 63 bytes without a NUL, got ${quote(got)}`;
}

export function reservedName(name: string, prefix: string): string {
  return `struct(): name must not begin with "${prefix}", which the names of other things do, got ${quote(name)}`;
}

export function tooManyNames(what: string, limit: number): string {
  return `${what}: the main area has ${limit} names at most; put what belongs together into one struct, and locks into a group (lwlocks)`;
}

export function roomExceeded(what: string, limit: number): string {
  return `${what}: all that is asked for in the main area may have ${limit} bytes at most; put large things into dynamic segments`;
}

export function otherShape(what: string): string {
  return `${what} was asked for before, in another shape; everybody who asks says the same`;
}

export function initialiserWaits(name: string): string {
  return `the initialiser of "${name}" returned a promise: everybody else is blocked until it is done, so it must be synchronous`;
}

export function reservedBytes(limit: number, got: unknown): string {
  return `shmem.reserve(): bytes must be a whole number from 1 to ${limit}, got ${quote(got)}`;
}

export function segmentSubject(handle: unknown): string {
  return `dynamic segment ${String(handle)}`;
}

export function namedSegmentSubject(name: unknown): string {
  return `dynamic segment ${quote(name)}`;
}

export function hashSubject(name: unknown): string {
  return `hash table ${quote(name)}`;
}

export function segmentDetached(handle: number): string {
  return `dynamic segment ${handle} is detached from this process; attach it again by its handle, if somebody still holds it`;
}

const crashCycle =
  'somebody wrote over it, or died in it; leave with exit code 2, and the crash cycle makes all of it anew';

/** What to do about what the C core refuses, whose own sentence names the rule. */
export const remedies: Readonly<Record<RefusalCode, string>> = {
  ERR_SHMEM_NAME_EMPTY: 'give it 1 to 63 bytes',
  ERR_SHMEM_NAME_TOO_LONG: 'shorten it',
  ERR_SHMEM_NAME_HAS_NUL: 'leave that out',
  ERR_SHMEM_SIZE_ZERO: 'ask for one byte at least',
  ERR_SHMEM_SIZE_TOO_LARGE: 'ask for less',
  ERR_SHMEM_ENTRY_SIZE_WRONG: 'everybody asks for the same fields',
  ERR_SHMEM_OUT_OF_SPACE: 'or reserve room for it there, by shmem.reserve()',
  ERR_SHMEM_INITIALISED_ABOVE: 'an initialiser does not ask for what it initialises',
  ERR_SHMEM_INITIALISATION_STUCK: 'an initialiser is short, for all others wait for it',
  ERR_SHMEM_FOREIGN: crashCycle,
  ERR_SHMEM_CORRUPT: crashCycle,
  ERR_SHMEM_LOCK_STUCK: crashCycle,
  ERR_SHMEM_TOO_MANY_SEGMENTS:
    'detach or unpin some, put several things into one, or raise maxWorkerProcesses, on which the limit depends',
  ERR_SHMEM_WINDOW_FULL: 'ask for less, or detach or unpin others',
  ERR_SHMEM_SEGMENT_GONE: 'somebody must stay attached, or pin() it, until others have come',
  ERR_SHMEM_ALREADY_ATTACHED: 'use what this process has of it (of a segment: dsm.find())',
  ERR_SHMEM_NOT_ATTACHED: 'attach it first, and do not detach it while it is initialised',
  ERR_SHMEM_ALREADY_PINNED: 'one pin is enough for all processes',
  ERR_SHMEM_NOT_PINNED: 'pin() it before, once for each unpin()',
  ERR_SHMEM_UNKNOWN_SEGMENT:
    'nobody holds it any more, or ever did; dsm.list() has those that there are',
  ERR_SHMEM_KIND_WRONG: 'choose another name',
  ERR_SHMEM_SEGMENT_SIZE_WRONG: 'everybody asks for the same number of bytes',
  ERR_SHMEM_TOO_MANY_NAMES:
    'names stay until the next crash cycle; put several things under one, or raise maxWorkerProcesses, on which the limit depends',
  ERR_SHMEM_HEAP_FULL: 'delete something, or open it everywhere with more `bytes`',
  ERR_SHMEM_BAD_POINTER: crashCycle,
  ERR_SHMEM_KEY_LENGTH:
    'use a digest of it as the key, or open the table everywhere with a larger limit',
  ERR_SHMEM_VALUE_LENGTH: 'split it, or open the table everywhere with a larger limit',
  ERR_SHMEM_PARAMETERS_WRONG: 'everybody opens it with the same options',
  ERR_SHMEM_BUSY: 'look things up before it, or after',
  ERR_SHMEM_BAD_PLACE: 'use what lies in a segment only until that is detached',
  ERR_SHMEM_LEFT: 'it is on its way out, and uses nothing in it any more',
};

// Latches.

export function foreignLatch(what: string, owner: number): string {
  const whose = owner < 0 ? 'nobody' : `the process in slot ${owner}`;
  return `only its owner waits on a latch, resets it or disowns it, and ${what} belongs to ${whose}; own() it first, if it is free`;
}

export function latchTaken(what: string, owner: number): string {
  return `${what} is owned by the process in slot ${owner} already, which must disown() it first`;
}

export function noSuchSlot(slotCount: number, got: unknown): string {
  return `a slot must be a whole number from 0 to ${slotCount - 1} (the workers', then the backends'), got ${quote(got)}; a process has its own as worker.slot`;
}

export function timeoutRule(limit: number, got: unknown): string {
  return `timeoutMs must be a number of milliseconds from 0 to ${limit}, got ${quote(got)}; leave it out to wait for ever`;
}

export const postmasterDied =
  'the postmaster is dead: nobody will answer this wait, and this process should leave';

export const hasLeft =
  'this process has left the shared memory in which that lies, so there is nothing to wait for any more; detach a segment, and leave, when the waits for what is in it are over';

export function conditionWaits(name: string): string {
  return `condition variable "${name}": the condition of waitSync() returned an object, such as a promise, and must say true or false; wait() takes an asynchronous one`;
}

// Locks.

export function tooManyLocks(limit: number): string {
  return `too many LWLocks taken: a process holds and waits for at most ${limit} of them; release some first`;
}

export function notHeld(name: string): string {
  return `lock "${name}" is not held by this process; each acquire is released once`;
}

export function waitsForItself(name: string): string {
  return `lock "${name}" is held or waited for by this very process: a blocking acquire would wait for ever; use acquire(), which does not block the event loop, or release it first`;
}

export function unknownLockMode(mode: unknown): string {
  return `the mode of a lock must be 'shared' or 'exclusive', got ${quote(mode)}`;
}

export function lockCount(name: string, limit: number, got: unknown): string {
  return `locks "${name}": count must be a whole number from 1 to ${limit}, got ${quote(got)}`;
}

// Barriers.

export function barrierParticipants(name: string, limit: number, got: unknown): string {
  return `barrier "${name}": participants must be a whole number from 0 (dynamic) to ${limit}, got ${quote(got)}`;
}

export function barrierIsStatic(name: string, verb: string): string {
  return `barrier "${name}" is static: its participants are attached from the beginning and stay so, and ${verb}() is for dynamic ones, which are made without participants`;
}

export function barrierNotAttached(name: string): string {
  return `barrier "${name}": this process does not take part; attach() first`;
}

export function barrierAttachedTwice(name: string): string {
  return `barrier "${name}": this process takes part already; a process attaches once`;
}

export function barrierArrivedTwice(name: string): string {
  return `barrier "${name}": this process has arrived in this phase already, and gave up to wait for its end; the next arrival is for the next phase`;
}

export function barrierWaiting(name: string): string {
  return `barrier "${name}": this process waits there already; await that, or abort it, before anything else`;
}

export function barrierIsOther(name: string, there: number, asked: number): string {
  const of = (participants: number) =>
    participants > 0 ? `static, of ${participants} participants` : 'dynamic';
  return `barrier "${name}" is ${of(there)}, and was asked for as ${of(asked)}; everybody says the same, and whoever makes the memory makes the barrier first`;
}

// Message queues.

export function queueTooSmall(minimum: number, maximum: number, bytes: unknown): string {
  return `a message queue needs a whole number of bytes from ${minimum} to ${maximum}, got ${quote(bytes)}`;
}

export const noQueueHere =
  'there is no message queue of this size in this place; create() it in one process, and open() it in the other with the same number of bytes';

export function endTaken(end: string, slot: number): string {
  return `this message queue has its ${end} already (the process in slot ${slot}): each end is taken once, for ever; make another queue`;
}

export function messageTooLarge(bytes: number, limit: number): string {
  return `cannot send a message of size ${bytes} via a shared memory queue; the limit is ${limit} bytes`;
}

export function notBytes(got: unknown): string {
  return `a message must be a Uint8Array, got ${quote(got)}; a queue with { values: true } takes everything structured-cloneable`;
}

export const notIdentical =
  'after WOULD_BLOCK or an abort, the identical message (the same bytes in the same place) must be sent again, for a part of it is under way; or detach()';

export const otherValue =
  'after WOULD_BLOCK or an abort, the identical value must be sent again, for a part of it is under way; or detach()';

export function cannotTravel(why: string): string {
  return `a value in a message queue must be structured-cloneable: ${why}; send what it is made of, without functions`;
}

export const receiving =
  'somebody waits for a message of this queue already; await one receive() before the next';

export const queueHasLeft =
  'this process has detached from the message queue, which is for ever; make another queue';

export function queueCorrupted(problem: string): string {
  return `this message queue contradicts itself (${problem}): somebody wrote over it, and it is of no further use; detach()`;
}
