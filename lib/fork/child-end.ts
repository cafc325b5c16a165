// child-end.ts: how a child left, as the launcher reports it and as the policy wants to know it.

import { constants } from 'node:os';
import type { ExitCause } from '../model/exit.ts';
import type { ResourceUsage, WaitStatus } from '../native.ts';

/** As wait(2) says, or not known because the launcher went first. */
export type ChildEnd =
  | { readonly kind: 'reaped'; readonly status: WaitStatus; readonly usage: ResourceUsage }
  | { readonly kind: 'lost' };

/** The first name counts: SIGIOT is SIGABRT's other one. */
const SIGNAL_NAMES = new Map(
  Object.entries(constants.signals)
    .reverse()
    .map(([name, number]) => [number, name as NodeJS.Signals]),
);

export function causeOf(end: ChildEnd): ExitCause {
  if (end.kind === 'lost') return { kind: 'lost' };
  const { status } = end;
  if (status.kind === 'code') return { kind: 'code', code: status.code };
  const signal = SIGNAL_NAMES.get(status.signal) ?? (`SIG${status.signal}` as NodeJS.Signals);
  return { kind: 'signal', signal };
}
