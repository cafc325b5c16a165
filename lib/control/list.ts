// list.ts: all workers as `bgworker ps` shows them, from the state.

import type { Instant } from '../model/standing.ts';
import type { State, Worker } from '../model/state.ts';
import { type ListedWorker, travelling, type WorkerList } from '../travel/control.ts';

export function workerList({ phase, workers }: State, now: Instant): WorkerList {
  return { phase, workers: [...workers.values()].map((worker) => listed(worker, now)) };
}

function listed(worker: Worker, now: Instant): ListedWorker {
  const { registration, standing, staticIndex } = worker;
  const { name, type, flags } = registration;
  const hasProcess = 'pid' in standing;
  return {
    ...travelling(worker),
    name,
    type,
    flags,
    standing: standing.kind,
    pid: hasProcess ? standing.pid : null,
    runningMs: hasProcess ? now - standing.since : null,
    isDynamic: staticIndex === null,
  };
}
