// smaps.ts: what a process costs in memory, as the kernel counts it.
//
// Never RSS: it counts in full what a process shares with others. Private is what would be free
// if it ended; proportional (PSS) gives each process its share of what is shared.

import { readFileSync } from 'node:fs';

export interface MemoryUse {
  readonly privateMb: number;
  readonly proportionalMb: number;
}

export function memoryUse(pid: number | undefined): MemoryUse {
  const text = readFileSync(`/proc/${pid}/smaps_rollup`, 'utf8');
  const kilobytes = (field: string): number => {
    const found = new RegExp(`^${field}: +(\\d+) kB$`, 'm').exec(text);
    if (found === null) throw new Error(`smaps_rollup of ${pid} has no line ${field}`);
    return Number(found[1]);
  };
  return {
    privateMb: (kilobytes('Private_Clean') + kilobytes('Private_Dirty')) / 1024,
    proportionalMb: kilobytes('Pss') / 1024,
  };
}
