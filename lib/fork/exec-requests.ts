// exec-requests.ts: what the launcher is asked to execute: a program, or a fresh node.

import { constants } from 'node:os';
import { fileURLToPath } from 'node:url';
import type { ExecRequest } from '../native.ts';
import {
  AREA_DESCRIPTOR,
  CONTROL_DESCRIPTOR,
  DEATH_DESCRIPTOR,
  TITLE_ROOM,
} from '../travel/notes.ts';

const NODE_PROGRAM = fileURLToPath(new URL('../exec-worker.js', import.meta.url));

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

/** A node with a worker; `area`: for one that is attached. */
export function nodeRequest(descriptors: {
  readonly control: number;
  readonly death: number;
  readonly area: number | null;
}): ExecRequest {
  const { control, death, area } = descriptors;
  return {
    ...PLAIN,
    file: process.execPath,
    args: [process.execPath, NODE_PROGRAM, TITLE_ROOM],
    env: entriesOf(process.env),
    deathSignal: 0, // It sees to that itself, as a fork does.
    targets: [CONTROL_DESCRIPTOR, DEATH_DESCRIPTOR, ...(area === null ? [] : [AREA_DESCRIPTOR])],
    descriptors: [control, death, ...(area === null ? [] : [area])],
  };
}

function entriesOf(env: NodeJS.ProcessEnv): string[] {
  return Object.entries(env).flatMap(([name, value]) =>
    value === undefined ? [] : [`${name}=${value}`],
  );
}
