// messages.ts: the sentences of dynamic workers, as who registers them hears them.

export const postmasterDied = 'the postmaster is dead';

export function cutOffBecause(why: string): string {
  return `the postmaster has cut off this process's connection: ${why}`;
}

export function argumentTooLong(bytes: number, most: number): string {
  return `must have at most ${most} bytes once it is serialized, and has ${bytes}`;
}
