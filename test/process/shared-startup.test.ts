// The start of shared memory: initialisers and hooks, in a process of their own before all others,
// at the start and after each crash; and what their failure ends.

import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import {
  moduleFile,
  refusedStart,
  startPostmaster,
  temporaryDirectory,
} from '../harness/postmaster.ts';

const SAY = `
import { writeSync } from 'node:fs';
const say = (name, text, value) =>
  writeSync(1, JSON.stringify({ kind: 'say', name, pid: process.pid, text, value }) + '\\n');
`;

test('initialisers come before hooks, in the order of the modules, in one process', async () => {
  const first = moduleFile(`${SAY}
    export function init({ shmem }) {
      shmem.onStartup(() => say('start', 'first hook', lock.acquireSync('exclusive').mode));
      const lock = shmem.lwlock('kept');
      shmem.struct('one', { n: 'u32' }, ({ n }) => say('start', 'one', n.add(7)));
    }`);
  const second = moduleFile(`${SAY}
    export function init(server) {
      const two = server.shmem.struct('two', { n: 'u32' }, ({ n }) => say('start', 'two', n.add(8)));
      const one = server.shmem.struct('one', { n: 'u32' }, () => say('start', 'one again'));
      const lock = server.shmem.lwlock('kept');
      server.shmem.onStartup(async () => {
        await new Promise((resolve) => setImmediate(resolve));
        say('start', 'second hook', one.n.load() + two.n.load());
      });
      const main = async () => {
        // It left with the lock, and in order.
        lock.acquireSync('exclusive');
        say('worker', 'main', one.n.load() + two.n.load());
        await new Promise(() => setInterval(() => {}, 1 << 30));
      };
      server.registerBackgroundWorker({
        name: 'worker', flags: ['SHMEM_ACCESS'], restartTime: 3600, main,
      });
    }`);
  const postmaster = await startPostmaster({ preload: [first, second] });
  const expected = [
    ['one', 0],
    ['two', 0],
    ['first hook', 'exclusive'],
    ['second hook', 15],
    ['main', 15],
  ];
  const said = (after: number) =>
    postmaster.lines.slice(after).flatMap((line) => (line.kind === 'say' ? [line] : []));
  let after = 0;
  for (let life = 0; life < 2; life++) {
    await postmaster.heard('worker', 'main', { after });
    const lines = said(after);
    expect(lines.map(({ text, value }) => [text, value])).toEqual(expected);
    const pids = lines.filter(({ name }) => name === 'start').map(({ pid }) => pid);
    expect(new Set(pids).size).toBe(1);
    after = postmaster.mark();
    if (life === 0) process.kill(postmaster.pidOf('worker'), 'SIGKILL');
  }
  await postmaster.stop();
});

describe('a start whose memory cannot be initialised is refused', () => {
  test.each([
    [
      'an initialiser throws',
      "shmem.struct('a', { n: 'u32' }, () => { throw new Error('turtles'); })",
      /turtles/,
    ],
    ['a hook rejects', "shmem.onStartup(async () => { throw new Error('turtles'); })", /turtles/],
    ['a hook throws no error', "shmem.onStartup(() => { throw 'turtles'; })", /turtles/],
    ['a hook exits', 'shmem.onStartup(() => process.exit(3))', /exit code 3/],
    ['a hook dies', "shmem.onStartup(() => process.kill(process.pid, 'SIGKILL'))", /SIGKILL/],
  ])('%s', async (_what, act, sentence) => {
    const module = moduleFile(`export function init({ shmem }) { ${act}; }`);
    const { refusal, program } = await refusedStart({ preload: [module] });
    expect(refusal.code).toBe('ERR_SHARED_MEMORY');
    expect(refusal.message).toMatch(sentence);
    expect(await program.exited).toMatchObject({ signal: null });
  });
});

test('a hook that fails after a crash ends the postmaster, with what it said', async () => {
  const mark = join(temporaryDirectory(), 'has run');
  const module = moduleFile(`${SAY}
    import { existsSync, writeFileSync } from 'node:fs';
    const mark = ${JSON.stringify(mark)};
    export function init(server) {
      server.shmem.onStartup(() => {
        if (existsSync(mark)) throw new Error('turtles');
        writeFileSync(mark, '');
      });
      const main = () => {
        say('worker', 'main');
        return new Promise(() => setInterval(() => {}, 1 << 30));
      };
      server.registerBackgroundWorker({
        name: 'worker', flags: ['SHMEM_ACCESS'], restartTime: 3600, main,
      });
    }`);
  const postmaster = await startPostmaster({ preload: [module] });
  const { pid } = await postmaster.heard('worker', 'main');
  expect(existsSync(mark)).toBe(true);
  process.kill(pid, 'SIGKILL');
  const { exitCode } = await postmaster.until('finish');
  expect(exitCode).toBe(1);
  await postmaster.logged(/a start-up hook of shared memory failed: turtles/);
  await postmaster.end();
  expect(postmaster.all('start').filter(({ name }) => name === 'worker')).toHaveLength(1);
});
