// descriptor-limit.ts: does this process have the descriptors that its options promise (set_max_safe_fds)?
//
// Asked once, at the start. A postmaster that runs out of them later cannot learn of the processes
// that it has asked for, and one that does not know its children has to end them all.

import { readFileSync } from 'node:fs';
import { BgworkerError } from '../errors.ts';
import { tooFewDescriptors } from '../messages.ts';
import type { CheckedOptions } from './options.ts';

/** The doorbell of its slot, its pidfd, and a connection to the control socket if it likes. */
const PER_CHILD = 3;
/** The listeners, clients that are refused or not from here, the launcher, and the program's own. */
const OTHERS = 256;

/** @throws BgworkerError ERR_INVALID_OPTION */
export function checkDescriptorLimit(options: CheckedOptions, limit = descriptorLimit()): void {
  const { maxWorkerProcesses, clients } = options;
  const maxConnections = clients?.maxConnections ?? 0;
  const wanted = OTHERS + PER_CHILD * (maxWorkerProcesses + maxConnections);
  if (wanted <= limit) return;
  const sentence = tooFewDescriptors(maxWorkerProcesses, maxConnections, wanted, limit);
  throw new BgworkerError('ERR_INVALID_OPTION', sentence);
}

/** RLIMIT_NOFILE of this process; Node has raised the soft one to the hard one at its start. */
function descriptorLimit(): number {
  const soft = /^Max open files\s+(\S+)/m.exec(readFileSync('/proc/self/limits', 'utf8'))?.[1];
  return soft === 'unlimited' ? Number.POSITIVE_INFINITY : Number(soft);
}
