// exec-requests.ts: what the launcher is asked to execute: a program, or a fresh node.

import { constants } from 'node:os';
import type { ExecRequest } from '../native.ts';
import { packageFile } from '../package-files.ts';
import { CONTROL_DESCRIPTOR, TITLE_ROOM } from '../travel/notes.ts';

const NODE_PROGRAM = packageFile('#exec-worker');

const PLAIN = { cwd: null, uid: null, gid: null, limits: [] } as const;

/** Any program. If the launcher is alive when the postmaster dies, it says SIGTERM first. */
export function programRequest(argv: readonly string[], env: NodeJS.ProcessEnv): ExecRequest {
  return {
    ...PLAIN,
    file: argv[0] ?? '',
    args: argv,
    env: entriesOf(env),
    deathSignal: constants.signals.SIGKILL,
    targets: [],
    descriptors: [],
  };
}

/** A node with a worker. It finds the descriptors from 3 on (see travel/notes.ts). */
export function nodeRequest(descriptors: readonly number[]): ExecRequest {
  return {
    ...PLAIN,
    file: process.execPath,
    args: [process.execPath, NODE_PROGRAM, TITLE_ROOM],
    env: entriesOf(process.env),
    deathSignal: 0, // It sees to that itself, as a fork does.
    targets: descriptors.map((_, index) => CONTROL_DESCRIPTOR + index),
    descriptors,
  };
}

function entriesOf(env: NodeJS.ProcessEnv): string[] {
  return Object.entries(env).flatMap(([name, value]) =>
    value === undefined ? [] : [`${name}=${value}`],
  );
}
