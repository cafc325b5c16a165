// Dynamic registration (§1.5): from each of those who can, what the worker gets, what the registrant
// gets, and what is refused where.

import { pathToFileURL } from 'node:url';
import { expect, test } from 'vitest';
import { Postmaster, type WorkerFlag } from '../../lib/index.ts';
import type { Played } from '../fixtures/process/registrant.ts';
import { descriptorsOf, isGone } from '../harness/leftovers.ts';
import { Outsider } from '../harness/outsider.ts';
import {
  moduleFile,
  type PostmasterProgram,
  startPostmaster,
  temporaryDirectory,
} from '../harness/postmaster.ts';

const INTRODUCE: Played[] = [
  {
    do: 'register',
    as: 'guest',
    options: {
      type: 'guests',
      module: 'roles/register',
      function: 'introduce',
      restartTime: 'never',
      arg: { deep: [1, 'two'] },
    },
  },
  { do: 'waitForStartup', of: 'guest' },
  { do: 'waitForShutdown', of: 'guest' },
  { do: 'lastExit', of: 'guest' },
  { do: 'status', of: 'guest' },
];

/** Whoever it was, these are the words of a life without trouble. */
async function followsALife(postmaster: PostmasterProgram, who: string, slot: number) {
  const { value } = await postmaster.heard('guest', 'introduced');
  expect(value).toEqual({
    name: 'guest',
    type: 'guests',
    flags: [],
    slot,
    arg: { deep: [1, 'two'] },
  });
  const said = async (text: string) => (await postmaster.heard(who, text)).value;
  expect(await said('guest registered')).toEqual({ slot, generation: '1', name: 'guest' });
  const { pid } = await postmaster.exitOf('guest');
  // It may have been gone already when it was asked for: then it is STOPPED.
  expect([{ status: 'STARTED', pid }, { status: 'STOPPED' }]).toContainEqual(
    await said('guest waitForStartup'),
  );
  expect(await said('guest waitForShutdown')).toEqual({ status: 'STOPPED' });
  expect(await said('guest lastExit')).toEqual({ kind: 'code', code: 0 });
  expect(await said('guest status')).toEqual({ status: 'STOPPED' });
}

const REGISTRANTS: [who: string, options: { flags?: WorkerFlag[]; launch?: 'exec' }][] = [
  ['a worker with shared memory', { flags: ['SHMEM_ACCESS'] }],
  ['a worker without', {}],
  ["an exec'ed worker", { launch: 'exec' }],
  ["an exec'ed worker with shared memory", { launch: 'exec', flags: ['SHMEM_ACCESS'] }],
];

test.each(REGISTRANTS)('from %s', async (_who, options) => {
  const arg = { steps: INTRODUCE };
  const postmaster = await startPostmaster({
    cast: [{ name: 'host', main: 'registrant', arg, ...options }],
  });
  await followsALife(postmaster, 'host', 1);
  expect((await postmaster.workers()).map(({ name }) => name)).toEqual(['host']);
  await postmaster.stop();
});

test("from the postmaster's own program", async () => {
  const postmaster = await startPostmaster({ cast: [] });
  for (const step of INTRODUCE) {
    postmaster.tell({ do: 'play', step });
    const text = step.do === 'register' ? 'guest registered' : `guest ${step.do}`;
    await postmaster.heard('postmaster', text);
  }
  await followsALife(postmaster, 'postmaster', 0);
  await postmaster.stop();
});

test('from outside, over the control socket', async () => {
  const postmaster = await startPostmaster({ cast: [] });
  const outsider = new Outsider(postmaster);
  const handle = await outsider.register('live.idle', { type: 'guests' });
  expect(handle).toMatchObject({ slot: 0, generation: 1n, name: 'idle' });
  const started = await handle.waitForStartup();
  const { pid } = await postmaster.startOf('idle');
  expect(started).toEqual({ status: 'STARTED', pid });
  expect(await handle.status()).toEqual({ status: 'STARTED', pid });
  expect(await outsider.workers()).toMatchObject([
    { slot: 0, generation: '1', name: 'idle', type: 'guests', standing: 'running', pid },
  ]);
  await postmaster.heard('idle', 'idle');
  await handle.terminate();
  expect(await handle.waitForShutdown()).toEqual({ status: 'STOPPED' });
  expect(handle.lastExit).toEqual({ kind: 'code', code: 0 });
  expect(await outsider.workers()).toEqual([]);
  await postmaster.stop();
});

test.each(['fork', 'exec'] as const)(
  'a worker with every kind of body can be registered, launched by %s',
  async (launch) => {
    const postmaster = await startPostmaster({ cast: [] });
    const outsider = new Outsider(postmaster);
    const module = await outsider.register('register.introduce', { launch, arg: 7 });
    const program = await outsider.register('register.introduce', {
      name: 'program',
      module: undefined,
      function: undefined,
      exec: ['sh', '-c', 'exit 3'],
    });
    expect((await postmaster.heard('introduce', 'introduced')).value).toMatchObject({ arg: 7 });
    for (const handle of [module, program]) await handle.waitForShutdown();
    expect(module.lastExit).toEqual({ kind: 'code', code: 0 });
    expect(program.lastExit).toEqual({ kind: 'code', code: 3 });
    await postmaster.stop();
  },
);

test('an argument is a copy by structured clone', async () => {
  const postmaster = await startPostmaster({ cast: [{ name: 'host', main: 'registerRich' }] });
  expect((await postmaster.heard('rich', 'recognised')).value).toEqual({
    big: String(2n ** 70n),
    year: 2012,
    hasNothing: true,
    isCircular: true,
  });
  await postmaster.stop();
});

const SIZES = [0, 1, 40_000, 65_000, 66_000, 1 << 20, 64 << 20] as const;

test.each(SIZES)('an argument of %i bytes', { timeout: 120_000 }, async (bytes) => {
  const step = {
    do: 'register',
    as: 'scales',
    argBytes: bytes,
    options: { module: 'roles/register', function: 'weigh', restartTime: 'never' },
  } as const;
  const attached = {
    ...step,
    as: 'attached',
    options: { ...step.options, flags: ['SHMEM_ACCESS'] },
  };
  const fresh = { ...step, as: 'fresh', options: { ...step.options, launch: 'exec' } };
  const both = { ...fresh, as: 'both', options: { ...fresh.options, flags: ['SHMEM_ACCESS'] } };
  const postmaster = await startPostmaster({ cast: [] });
  const before = descriptorsOf(postmaster.pid).length;
  for (const one of [step, attached, fresh, both]) {
    postmaster.tell({ do: 'play', step: one });
    const { value } = await postmaster.heard(one.as, 'weighed', { withinMs: 60_000 });
    expect(value).toEqual({ bytes, isSame: true });
    await postmaster.exitOf(one.as);
  }
  // What was kept for them is let go of with them.
  expect(await postmaster.workers()).toEqual([]);
  expect(descriptorsOf(postmaster.pid)).toHaveLength(before);
  await postmaster.stop();
});

test('a large argument from a worker is the same at each of its starts', async () => {
  const steps: Played[] = [
    {
      do: 'register',
      as: 'scales',
      argBytes: 3 << 20,
      options: { module: 'roles/register', function: 'weighTwice', restartTime: 0 },
    },
  ];
  const postmaster = await startPostmaster({
    cast: [{ name: 'host', main: 'registrant', arg: { steps } }],
  });
  // Each overwrites its own; the file is sealed.
  const said = await postmaster.count('say', 3, ({ text }) => text === 'weighed');
  for (const { value } of said) expect(value).toEqual({ bytes: 3 << 20, isSame: true });
  await postmaster.stop();
});

test('a module that the launcher has loaded is not loaded again', async () => {
  const job = (name: string) =>
    moduleFile(
      `const loadedIn = process.pid;
       export function main(worker) {
         const value = { loadedIn, pid: worker.pid };
         console.log(JSON.stringify({ kind: 'say', name: worker.name, pid: worker.pid, text: 'ran', value }));
       }`,
      name,
    );
  const [warm, typed, cold] = [job('warm.mjs'), job('typed.mts'), job('cold.mjs')];
  const preload = moduleFile(
    `export async function init(server) {
       await server.preloadModule(${JSON.stringify(warm)});
       await server.preloadModule(new URL(${JSON.stringify(pathToFileURL(typed).href)}));
     }`,
  );
  const postmaster = await startPostmaster({ preload: [preload] });
  const outsider = new Outsider(postmaster);
  const { launcherPid } = postmaster;
  for (const [name, module] of Object.entries({ warm, typed, cold })) {
    for (const form of [module, pathToFileURL(module)]) {
      const after = postmaster.mark();
      await outsider.register('live.idle', { name, module: form, function: 'main' });
      const { value, pid } = await postmaster.heard(name, 'ran', { after });
      expect(value).toEqual({ loadedIn: name === 'cold' ? pid : launcherPid, pid });
    }
  }
  await postmaster.stop();
});

test('a bad registration is the mistake of who made it', async () => {
  const options = { module: 'roles/live', function: 'idle' };
  const BAD: [step: Played, code: string, message: RegExp][] = [
    [
      { do: 'register', as: 'a', options: { ...options, restartTime: -1 } },
      'ERR_INVALID_REGISTRATION',
      /^background worker "a": restartTime must be .* got -1$/,
    ],
    [
      { do: 'register', as: 'b', options: { main: 'function' } },
      'ERR_INVALID_REGISTRATION',
      /a closure cannot travel/,
    ],
    [
      { do: 'register', as: 'c', options, argFunction: true },
      'ERR_INVALID_REGISTRATION',
      /^background worker "c": arg must be structured-cloneable: .*could not be cloned/,
    ],
    [
      { do: 'register', as: 'd', options: { ...options, flags: ['CLASS_PARALLEL'] } },
      'ERR_INVALID_REGISTRATION',
      /restartTime must be 'never' for a worker of the class CLASS_PARALLEL/,
    ],
    [
      { do: 'register', as: 'e', options: { ...options, restarttime: 1 } },
      'ERR_INVALID_REGISTRATION',
      /there is no option "restarttime"; did you mean "restartTime"\?$/,
    ],
  ];
  const steps = BAD.map(([step]) => step);
  const postmaster = await startPostmaster({
    cast: [{ name: 'host', main: 'registrant', arg: { steps } }],
  });
  await postmaster.heard('host', 'played');
  for (const [step, code, message] of BAD) {
    if (step.do !== 'register') continue;
    postmaster.tell({ do: 'play', step });
    for (const who of ['host', 'postmaster']) {
      const { value } = await postmaster.heard(who, `${step.as} registered`);
      expect(value).toEqual({ code, message: expect.stringMatching(message) });
    }
  }
  expect((await postmaster.workers()).map(({ name }) => name)).toEqual(['host']);
  await postmaster.stop();
});

test('what a worker fails with is its own: no module, no function, an argument it cannot read', async () => {
  const postmaster = await startPostmaster({ cast: [] });
  const outsider = new Outsider(postmaster);
  const attached = { flags: ['SHMEM_ACCESS'] };
  const handles = [
    await outsider.register('live.idle', { ...attached, module: '/nowhere.js' }),
    await outsider.register('live.idle', { ...attached, function: 'nothing' }),
  ];
  for (const handle of handles) {
    await handle.waitForShutdown();
    expect(handle.lastExit).toEqual({ kind: 'code', code: 1 });
  }
  await postmaster.logged(/has no function "nothing"; it exports /);
  expect(postmaster.all('crash')).toEqual([]);
  await postmaster.stop();
});

test('an abort while it is registered leaves no worker', async () => {
  const step = {
    do: 'register',
    as: 'unwanted',
    abort: true,
    options: { module: 'roles/live', function: 'idle', restartTime: 'never' },
  } as const;
  const postmaster = await startPostmaster({
    cast: [{ name: 'host', main: 'registrant', arg: { steps: [step] } }],
  });
  postmaster.tell({ do: 'play', step });
  for (const who of ['host', 'postmaster']) {
    const { value } = await postmaster.heard(who, 'unwanted registered');
    expect(value).toEqual({ code: 'Error', message: 'aborted' });
  }
  // Whether it had been started or not: it is ended, and never started again.
  await postmaster.logged(/unregistering background worker "unwanted"/);
  const started = postmaster.all('start').filter(({ name }) => name === 'unwanted');
  for (const { pid } of started) {
    await postmaster.until('exit', (line) => line.pid === pid);
    expect(isGone(pid)).toBe(true);
  }
  await postmaster.stop();
});

test('a postmaster that was not started has no workers to register', async () => {
  const postmaster = new Postmaster({ dataDirectory: temporaryDirectory() });
  const registered = postmaster.registerDynamicBackgroundWorker({ name: 'w', module: '/w.js' });
  await expect(registered).rejects.toMatchObject({ code: 'ERR_WRONG_STATE' });
});
