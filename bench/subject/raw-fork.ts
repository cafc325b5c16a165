// raw-fork.ts: the limit of a start: fork() + _exit() + wait of a process like the launcher, with
// its flags and its modules and nothing else to do. Asked for a number of forks, it answers with
// their durations in nanoseconds.

import { stat } from 'node:fs/promises';
import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import { internal } from '../support/internals.ts';

// What launcher.ts loads and does before its loop.
const { native } = await internal<typeof import('../../lib/native.ts')>('native');
const entropy = await internal<typeof import('../../lib/preload/entropy.ts')>('preload/entropy');
const { preload } =
  await internal<typeof import('../../lib/preload/preload.ts')>('preload/preload');
const { createLogger } = await internal<typeof import('../../lib/log.ts')>('log');
await internal('run/self-test');
await internal('run/run-worker');

entropy.installEntropyGuards();
const log = createLogger({ level: 'warn', format: 'text' }, 'raw fork');
const module = new URL('one-of-each.js', import.meta.url).href;
// The thread pool: its threads stay in the launcher, and their stacks are part of what is forked.
await stat('/');
const { registry } = await preload([module], { maxWorkerProcesses: 2, log }, null);
setFlagsFromString('--expose-gc');
const collect = runInNewContext('gc') as (options?: { type: 'minor' }) => void;
collect();
collect({ type: 'minor' });
collect({ type: 'minor' });

process.on('message', (count: number) => {
  const durationsNs = Array.from({ length: count }, () => native.rawForkNs());
  process.send?.(durationsNs);
});
process.on('disconnect', () => process.exit(registry.announce().length > 0 ? 0 : 1));
