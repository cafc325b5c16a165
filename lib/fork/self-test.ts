// self-test.ts: the launcher's first child, which shows whether a fork of this node works.
//
// It is nobody's worker. What it does is in run/self-test.ts; here is what is made of its end.

import * as messages from '../messages.ts';
import type { ChildId } from '../model/standing.ts';
import type { ChildPayload } from '../travel/notes.ts';
import type { ChildEnd } from './child-end.ts';
import { type LauncherOwner, NOBODY } from './launcher-owner.ts';

/** Not one of the policy's numbers, which count up from 1. */
const SELF_TEST_CHILD: ChildId = 0;
const SELF_TEST_MS = 5_000;

/** A launcher that has nobody's children yet. */
export interface UntriedLauncher {
  fork(child: ChildId, attach: boolean, payload: ChildPayload): void;
  kill(child: ChildId, signal: NodeJS.Signals, to: 'process' | 'group'): boolean;
  /** Rejects when it has ended. */
  readonly died: Promise<never>;
  /** Who hears of its child from here on. */
  setOwner(owner: LauncherOwner): void;
}

/** null if the child did what it should, else what it did instead, in words. */
export async function tryFork(launcher: UntriedLauncher): Promise<string | null> {
  const outcome = new Promise<string | null>((resolve) => {
    launcher.setOwner({
      ...NOBODY,
      failed: (_child, call, why) => resolve(`failed (${call}: ${why})`),
      ended: (_child, _pid, end) => resolve(outcomeOf(end)),
    });
  });
  const impatience = setTimeout(
    () => launcher.kill(SELF_TEST_CHILD, 'SIGKILL', 'group'),
    SELF_TEST_MS,
  );
  try {
    launcher.fork(SELF_TEST_CHILD, false, { kind: 'self-test' });
    const problem = await Promise.race([outcome, launcher.died]);
    return problem === null ? null : messages.selfTestFailed(problem);
  } finally {
    clearTimeout(impatience);
  }
}

function outcomeOf(end: ChildEnd): string | null {
  if (end.kind === 'lost') return 'ended with the launcher';
  const { status } = end;
  if (status.kind === 'signal') return `was ended by signal ${status.signal}`;
  return status.code === 0 ? null : `left with exit code ${status.code}`;
}
