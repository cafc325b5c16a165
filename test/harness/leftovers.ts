// leftovers.ts: what a program may leave behind: processes, shared memory, descriptors.
//
// Every process of a test carries the test's mark in its environment, which forks and programs
// inherit, so that one is found wherever it went: into another session, or to another parent.

import { readdirSync, readFileSync, readlinkSync } from 'node:fs';

export const MARK = 'BGWORKER_TEST_ID';

export interface Stray {
  readonly pid: number;
  readonly command: string;
  readonly state: string;
}

/** The living processes that carry this mark. */
export function marked(id: string): Stray[] {
  const needle = `${MARK}=${id}`;
  return readdirSync('/proc')
    .filter((name) => /^\d+$/.test(name))
    .flatMap((name) => {
      try {
        // A zombie has no environment any more, and is its parent's business.
        if (!readFileSync(`/proc/${name}/environ`, 'latin1').split('\0').includes(needle))
          return [];
        const pid = Number(name);
        return [{ pid, command: commandOf(pid), state: stateOf(pid) }];
      } catch {
        return []; // It went between two looks.
      }
    });
}

export function commandOf(pid: number): string {
  return readFileSync(`/proc/${pid}/cmdline`, 'utf8').replaceAll('\0', ' ').trim();
}

/** 'R', 'S', 'T', 'Z' … as in ps; '' when it is gone. */
export function stateOf(pid: number): string {
  return statOf(pid)[0] ?? '';
}

export function parentOf(pid: number): number {
  return Number(statOf(pid)[1]);
}

/** The fields of /proc/PID/stat after the name, which may itself contain blanks and brackets. */
function statOf(pid: number): string[] {
  try {
    const text = readFileSync(`/proc/${pid}/stat`, 'latin1');
    return text.slice(text.lastIndexOf(')') + 2).split(' ');
  } catch {
    return [];
  }
}

/** The children of a process, zombies included. */
export function childrenOf(pid: number): number[] {
  const text = readFileSync(`/proc/${pid}/task/${pid}/children`, 'latin1').trim();
  return text === '' ? [] : text.split(' ').map(Number);
}

export function isGone(pid: number): boolean {
  const state = stateOf(pid);
  return state === '' || state === 'Z';
}

/** What each open descriptor is, for a comparison of before and after. */
export function descriptorsOf(pid: number): string[] {
  return readdirSync(`/proc/${pid}/fd`).map((number) => {
    try {
      return readlinkSync(`/proc/${pid}/fd/${number}`);
    } catch {
      return 'closed meanwhile';
    }
  });
}

/** An initdb of another test has its own there, as long as it runs. */
export function sharedMemory(): string[] {
  return readdirSync('/dev/shm').filter((name) => !name.startsWith('PostgreSQL.'));
}
