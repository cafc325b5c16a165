// launcher.ts: what the postmaster and the launcher say to each other, as the addon hands it over.

import type { MainArea } from './main-area.ts';

/** How a process ended: it left with a code, or a signal ended it. */
export type WaitStatus =
  | { readonly kind: 'code'; readonly code: number }
  | { readonly kind: 'signal'; readonly signal: number; readonly coreDumped: boolean };

/** What a child used, from wait4(2). */
export interface ResourceUsage {
  readonly userUs: number;
  readonly systemUs: number;
  readonly maxResidentKb: number;
}

/** What the launcher tells the postmaster. The list is closed. */
export type LauncherReport =
  /** From the launcher's JavaScript, before it enters its loop. */
  | { readonly kind: 'note'; readonly body: Buffer }
  /** The child exists; the receiver owns `pidfd` and closes it. */
  | {
      readonly kind: 'forked';
      readonly childId: number;
      readonly pid: number;
      readonly pidfd: number;
    }
  /** No child came of it; `call` names the step that failed. Nothing else follows for this id. */
  | {
      readonly kind: 'failed';
      readonly childId: number;
      readonly call: string;
      readonly errno: number;
    }
  /** The child was reaped; the rest of its process group was killed first. */
  | {
      readonly kind: 'exited';
      readonly childId: number;
      readonly pid: number;
      readonly status: WaitStatus;
      readonly usage: ResourceUsage;
    };

/** A program that replaces the fork: the launcher's EXEC request. */
export interface ExecRequest {
  /** Looked up in the PATH of `env` if it contains no slash. */
  readonly file: string;
  /** Including argv[0]. */
  readonly args: readonly string[];
  /** 'NAME=value', the whole environment of the program. */
  readonly env: readonly string[];
  readonly cwd: string | null;
  readonly uid: number | null;
  readonly gid: number | null;
  /** PR_SET_PDEATHSIG: what the program gets when the launcher dies. Set after setuid, which clears it. */
  readonly deathSignal: number;
  /** targets[i] is the number that descriptors[i] gets in the program; all others are closed. */
  readonly targets: readonly number[];
  readonly descriptors: readonly number[];
  /** setrlimit(2): resource number, soft and hard limit; Infinity for RLIM_INFINITY. */
  readonly limits: readonly (readonly [resource: number, soft: number, hard: number])[];
}

/** The postmaster's end of the control socket. Holds the event loop open until closed. */
export interface LauncherChannel {
  /** A note for the launcher's JavaScript, which waits for it with receiveNote(). */
  note(body: Uint8Array): void;
  /**
   * Asks for a fork of the warm launcher. `attach`: keep the main area mapped. The payload is
   * opaque; the child finds it, and the descriptors under new numbers, in what launcherLoop()
   * returns. Any length: a long one travels in a memory file.
   */
  fork(childId: number, attach: boolean, payload: Uint8Array, descriptors: readonly number[]): void;
  exec(childId: number, request: ExecRequest): void;
  /** The launcher maps this area in place of the old one, at the same address. */
  replaceArea(area: MainArea): void;
  /** Closes the socket. A launcher in its loop then ends what is left of its children and exits. */
  close(): void;
}

/** What launcherLoop() returns, in a child only. */
export interface ForkedChild {
  readonly childId: number;
  /** Its own, since process.pid is still the launcher's. */
  readonly pid: number;
  readonly payload: Buffer;
  readonly descriptors: readonly number[];
}
