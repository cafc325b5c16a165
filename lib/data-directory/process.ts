// process.ts: which process is behind a pid, as far as /proc tells.
//
// A pid alone says little: the kernel gives it to somebody else later. A pid with its start time
// in clock ticks and the boot it belongs to names one process for ever, and unlike the wall clock
// this does not move when the time of day is set.

import { readFileSync } from 'node:fs';

export interface ProcessFacts {
  readonly pid: number;
  readonly parentPid: number;
  /** The letter of proc(5): 'Z' and 'X' are dead and hold nothing but their exit status. */
  readonly state: string;
  /** Since boot, in clock ticks. A string, because it is only ever compared. */
  readonly startTicks: string;
}

/** null: there is no such process, or /proc does not show it to us. */
export function readProcess(pid: number): ProcessFacts | null {
  try {
    return parseStat(readFileSync(`/proc/${pid}/stat`, 'utf8'));
  } catch {
    return null; // gone, also in the middle of the read (ESRCH)
  }
}

/** proc(5), fields 1, 3, 4 and 22. The name in field 2 may hold spaces and parentheses. */
export function parseStat(text: string): ProcessFacts | null {
  const nameEnd = text.lastIndexOf(')');
  const fields = text.slice(nameEnd + 2).split(' ');
  const [state, parentPid] = fields;
  const startTicks = fields[19];
  const pid = Number.parseInt(text, 10);
  if (nameEnd < 0 || !state || !parentPid || !startTicks || Number.isNaN(pid)) return null;
  return { pid, parentPid: Number(parentPid), state, startTicks };
}

/** Dead, or dead but not yet waited for. */
export function isGone(facts: ProcessFacts | null): boolean {
  return facts === null || facts.state === 'Z' || facts.state === 'X';
}

/** One line that no other process has or will have, or null where /proc does not tell. */
export function processIdentity(pid: number): string | null {
  const facts = readProcess(pid);
  const boot = bootId();
  return facts === null || boot === null ? null : `${boot}/${facts.startTicks}`;
}

function bootId(): string | null {
  try {
    return readFileSync('/proc/sys/kernel/random/boot_id', 'utf8').trim();
  } catch {
    return null;
  }
}
