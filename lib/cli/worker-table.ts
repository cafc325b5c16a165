// worker-table.ts: workers as a table for people, in ps(1)'s manner.

import type { ListedWorker, TravellingId } from '../travel/control.ts';

const HEADINGS = ['HANDLE', 'PID', 'STANDING', 'RUNNING', 'TYPE', 'NAME'];

export function workerTable(workers: readonly ListedWorker[]): string[] {
  const rows = [HEADINGS, ...workers.map(rowOf)];
  const widths = HEADINGS.map((_, column) =>
    Math.max(...rows.map((row) => row[column]?.length ?? 0)),
  );
  // The last column is as wide as it is.
  return rows.map((row) =>
    row
      .map((cell, i) => cell.padEnd(widths[i] ?? 0))
      .join('  ')
      .trimEnd(),
  );
}

export function handleOf({ slot, generation }: TravellingId): string {
  return `${slot}/${generation}`;
}

function rowOf(worker: ListedWorker): string[] {
  const { pid, standing, runningMs, type, name } = worker;
  const running = runningMs === null ? '-' : duration(runningMs);
  return [handleOf(worker), String(pid ?? '-'), standing, running, type, name];
}

/** [[DD-]HH:]MM:SS */
export function duration(ms: number): string {
  const total = Math.floor(ms / 1000);
  const [days, hours, minutes, seconds] = [
    Math.floor(total / 86_400),
    Math.floor(total / 3600) % 24,
    Math.floor(total / 60) % 60,
    total % 60,
  ].map((one) => String(one).padStart(2, '0'));
  if (total >= 86_400) return `${days}-${hours}:${minutes}:${seconds}`;
  return total >= 3600 ? `${hours}:${minutes}:${seconds}` : `${minutes}:${seconds}`;
}
