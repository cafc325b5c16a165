// rehearsal.ts: the way of each kind of child to the first line of its main and a little further, in
// the launcher, before its first fork, for nobody.
//
// V8 compiles a function when it is first called: what was called here need not be compiled again in
// every child, which makes a start shorter by half a millisecond, and by as much again for who is
// attached. Nothing is left of it.

import { closeSync } from 'node:fs';
import type { Socket } from 'node:net';
import { setImmediate } from 'node:timers/promises';
import { pathToFileURL } from 'node:url';
import { serialize } from 'node:v8';
import { becomeChild, type Inherited } from './become-child.ts';
import { rehearseControl } from './dynamic/rehearse.ts';
import { native } from './native.ts';
import { packageFile } from './package-files.ts';
import { PreloadRegistry } from './preload/preload.ts';
import { practise } from './run/practise.ts';
import { rehearseBackend } from './run/run-backend.ts';
import { rehearseWorker } from './run/run-worker.ts';
import {
  type BackendStart,
  type ChildPayload,
  encodePayload,
  type LauncherConfig,
  type WorkerStart,
} from './travel/notes.ts';

/** `serves`: it has backends, too. The caller gives the process its title back. */
export async function rehearse(config: LauncherConfig, serves: boolean): Promise<void> {
  const registry = new PreloadRegistry();
  registry.add({ name: REHEARSAL.registration.name, main: practise });
  registry.shared.struct('rehearsal', { count: 'u64', note: { bytes: 8 } });
  registry.shared.lwlock('rehearsal');
  registry.setBackend(practiseServing, undefined);
  const area = native.MainArea.create(1, registry.shared.totalBytes, 0);
  // They are the attachment's, and are closed with it.
  const memory = { area, doorbells: native.makeDoorbells(1) };
  const inherited = { config, registry, memory };
  for (const start of [REHEARSAL, DYNAMIC_REHEARSAL, ATTACHED_REHEARSAL]) {
    await play({ kind: 'worker', start }, inherited);
  }
  await rehearseControl(config.control);
  if (serves) {
    const [connection, client] = native.streamPair();
    await play({ kind: 'backend', start: REHEARSED_BACKEND }, inherited, connection);
    closeSync(client);
  }
  // Turns in which libuv lets go of the handles that were closed, and the last look at the latch is
  // over.
  await setImmediate();
  await setImmediate();
  area.close();
}

async function play(
  payload: ChildPayload,
  inherited: Inherited,
  ...descriptors: number[]
): Promise<void> {
  const body = Buffer.from(encodePayload(payload));
  const child = { childId: 0, pid: process.pid, payload: body, descriptors };
  let played: Promise<void> | undefined;
  const undo = becomeChild(child, inherited, {
    runWorker: (environment) => {
      played = rehearseWorker(environment);
    },
    runBackend: rehearseBackend,
  });
  await played;
  undo();
}

async function practiseServing(connection: Socket): Promise<void> {
  connection.on('data', () => {}).on('error', () => {});
  connection.write('x');
  connection.destroy();
}

const REHEARSED_BACKEND: BackendStart = {
  slot: 0,
  registration: {
    name: 'rehearsal',
    type: 'rehearsal',
    flags: [],
    launch: null,
    database: null,
    user: null,
    allowInHotStandby: true,
    allowHalfOpen: false,
    noDelay: true,
    keepAlive: null,
  },
  peer: { kind: 'inet', address: '127.0.0.1', port: 1 },
  database: null,
};

const REHEARSAL: WorkerStart = {
  slot: 0,
  registration: {
    name: 'rehearsal',
    type: 'rehearsal',
    flags: [],
    startTime: 'PostmasterStart',
    restartTime: 'never',
    restartOnExit0: false,
    launch: null,
    database: null,
    user: null,
    body: { kind: 'closure' },
  },
  staticIndex: 0,
  database: null,
  argument: null,
};

const DYNAMIC_REHEARSAL: WorkerStart = {
  ...REHEARSAL,
  registration: {
    ...REHEARSAL.registration,
    body: {
      kind: 'module',
      module: pathToFileURL(packageFile('#practise')).href,
      function: 'practise',
    },
  },
  staticIndex: null,
  argument: { kind: 'inline', base64: serialize({ for: 'practice' }).toString('base64') },
};

const ATTACHED_REHEARSAL: WorkerStart = {
  ...REHEARSAL,
  registration: { ...REHEARSAL.registration, flags: ['SHMEM_ACCESS'] },
};
