// systemd.ts: the listeners that systemd has opened for this process (sd_listen_fds).
//
// They stay open, so that another postmaster of the same process finds them again, and are
// close-on-exec from then on.

import { closeSync } from 'node:fs';
import { BgworkerError } from '../errors.ts';
import { native } from '../native.ts';
import { messages, reasonOf } from './messages.ts';

/** SD_LISTEN_FDS_START */
const FIRST = 3;

export interface PassedDescriptor {
  readonly descriptor: number;
  /** FileDescriptorName=; systemd's word for none is 'unknown'. */
  readonly name: string;
}

/** What the environment says was passed to the process of this pid. Pure. */
export function passedDescriptors(
  env: Readonly<Record<string, string | undefined>>,
  pid: number,
): PassedDescriptor[] {
  const { LISTEN_PID, LISTEN_FDS, LISTEN_FDNAMES } = env;
  const count = /^\d{1,6}$/.test(LISTEN_FDS ?? '') ? Number(LISTEN_FDS) : 0;
  if (LISTEN_PID !== String(pid)) return [];
  const names = LISTEN_FDNAMES?.split(':') ?? [];
  return Array.from({ length: count }, (_, index) => ({
    descriptor: FIRST + index,
    name: names[index] ?? 'unknown',
  }));
}

/**
 * Listeners of our own, the caller's to close.
 *
 * @throws BgworkerError ERR_LISTEN_FAILED
 */
export function takeFromSystemd(name: string | null): number[] {
  const passed = passedDescriptors(process.env, process.pid).filter(
    (one) => name === null || one.name === name,
  );
  if (passed.length === 0) {
    throw new BgworkerError('ERR_LISTEN_FAILED', messages.nothingFromSystemd(name));
  }
  const adopted: number[] = [];
  for (const { descriptor } of passed) {
    try {
      adopted.push(native.adoptListener(descriptor));
    } catch (error) {
      for (const one of adopted) closeSync(one);
      const sentence = messages.badFromSystemd(descriptor, reasonOf(error));
      throw new BgworkerError('ERR_LISTEN_FAILED', sentence, { cause: error });
    }
  }
  return adopted;
}
