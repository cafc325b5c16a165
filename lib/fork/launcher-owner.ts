// launcher-owner.ts: who hears what becomes of the launcher and of its children.

import type { ChildId, Pid } from '../model/standing.ts';
import type { ChildEnd } from './child-end.ts';

/** What the owner hears. Every child that was asked for ends in exactly one of `failed` and `ended`. */
export interface LauncherOwner {
  forked(child: ChildId, pid: Pid): void;
  failed(child: ChildId, call: string, why: string): void;
  ended(child: ChildId, pid: Pid, end: ChildEnd): void;
  /** The launcher itself is dead, and was not told to be. */
  lost(how: string): void;
}

/** Until it is ready its end is the failure of start(), and nobody else's news. */
export const NOBODY: LauncherOwner = { forked() {}, failed() {}, ended() {}, lost() {} };
