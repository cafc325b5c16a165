// memory.ts: what one more idle worker costs.

import { setTimeout } from 'node:timers/promises';
import type { Context, Figure, Group } from '../support/figure.ts';
import { FirstLines } from '../support/first-lines.ts';
import { PlainChild } from '../support/plain-children.ts';
import { benchPostmaster } from '../support/postmaster.ts';
import { Scratch } from '../support/scratch.ts';
import { type MemoryUse, memoryUse } from '../support/smaps.ts';

/** V8 collects a heap that has been idle for 8 s, which un-shares what it touches: wait for that. */
const SETTLING_MS = 12_000;

export const memory: Group = {
  name: 'memory',
  about: 'private and proportional memory of an idle worker, by the same three ways',
  run: measure,
};

async function measure({ signal }: Context): Promise<Figure[]> {
  using scratch = new Scratch();
  using lines = new FirstLines(scratch.in('first-lines'), signal);
  await using postmaster = benchPostmaster(scratch, { preload: 'one-of-each', workers: 2 });
  await postmaster.start({ signal });
  await using _child = new PlainChild('plain');
  const pids = new Map((await lines.take(3)).map(({ name, pid }) => [name, pid]));
  await setTimeout(SETTLING_MS, undefined, { signal });

  return figuresOf({
    fork: memoryUse(pids.get('fork')),
    exec: memoryUse(pids.get('exec')),
    childProcess: memoryUse(pids.get('plain')),
  });
}

type Ways = Readonly<Record<'fork' | 'exec' | 'childProcess', MemoryUse>>;

function figuresOf({ fork, exec, childProcess }: Ways): Figure[] {
  return [
    {
      key: 'idle_private_fork_mb',
      value: fork.privateMb,
      what: 'private, fork',
      target: { atMost: 1.5 },
    },
    { key: 'idle_private_exec_mb', value: exec.privateMb, what: 'private, exec of a fresh node' },
    {
      key: 'idle_private_child_process_mb',
      value: childProcess.privateMb,
      what: 'private, child_process.fork',
    },
    {
      key: 'idle_private_child_process_to_fork_ratio',
      value: childProcess.privateMb / fork.privateMb,
      what: 'child_process.fork has, of a fork',
      target: { atLeast: 8 },
    },
    { key: 'idle_pss_fork_mb', value: fork.proportionalMb, what: 'proportional, fork' },
    {
      key: 'idle_pss_exec_mb',
      value: exec.proportionalMb,
      what: 'proportional, exec of a fresh node',
    },
    {
      key: 'idle_pss_child_process_mb',
      value: childProcess.proportionalMb,
      what: 'proportional, child_process.fork',
    },
  ];
}
