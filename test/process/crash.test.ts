// The crash cycle (§1.16) with real processes: who is told what, what crosses it, and what ends it.
// Who comes back is in restart.test.ts, that nothing is left in crash-cycles.test.ts.

import { expect, test } from 'vitest';
import { childrenOf, commandOf } from '../harness/leftovers.ts';
import {
  moduleFile,
  type PostmasterProgram,
  refusedStart,
  startPostmaster,
} from '../harness/postmaster.ts';

const flags = ['SHMEM_ACCESS'] as const;
const LATER = 3600;

test('several crashes at once are one: the first is told, the others only reaped', async () => {
  const names = ['a', 'b', 'c', 'd'];
  const postmaster = await startPostmaster({
    cast: names.map((name) => ({ name, main: 'idle', flags, restartTime: LATER })),
    log: { level: 'info', format: 'text' },
  });
  for (const name of names) await postmaster.heard(name, 'idle');
  const after = postmaster.mark();
  // Stopped, it sees none of it before all of it has happened.
  process.kill(postmaster.pid, 'SIGSTOP');
  for (const name of names) process.kill(postmaster.pidOf(name), 'SIGKILL');
  process.kill(postmaster.pid, 'SIGCONT');
  for (const name of names) await postmaster.heard(name, 'idle', { after });
  expect(postmaster.all('crash')).toHaveLength(1);
  expect(linesOf(postmaster, /terminating any other active worker processes/)).toBe(1);
  expect(linesOf(postmaster, /was terminated by signal SIGKILL/)).toBe(1);
  expect(linesOf(postmaster, /reinitializing/)).toBe(1);
  await postmaster.stop();
});

test('who leaves with 0 during the cycle is done, with 1 comes back at once', async () => {
  const postmaster = await startPostmaster({
    cast: [
      { name: 'victim', main: 'idle', flags, restartTime: LATER },
      { name: 'zero', main: 'exitOnSigquit', arg: { code: 0 }, flags, restartTime: LATER },
      { name: 'one', main: 'exitOnSigquit', arg: { code: 1 }, flags, restartTime: LATER },
      { name: 'one, never', main: 'exitOnSigquit', arg: { code: 1 }, flags, restartTime: 'never' },
    ],
  });
  await postmaster.heard('victim', 'idle');
  for (const name of ['zero', 'one', 'one, never']) await postmaster.heard(name, 'ready');
  const after = postmaster.mark();
  process.kill(postmaster.pidOf('victim'), 'SIGKILL');
  await postmaster.heard('victim', 'idle', { after });
  await postmaster.heard('one', 'ready', { after });
  expect(await postmaster.exitOf('zero')).toMatchObject({ how: 'code 0', standing: 'gone' });
  expect(await postmaster.exitOf('one')).toMatchObject({ how: 'code 1', cleanDetach: true });
  expect((await postmaster.workers()).map(({ name }) => name)).toEqual(['victim', 'one']);
  expect(postmaster.all('crash')).toHaveLength(1);
  await postmaster.stop();
});

test('a crash during a fast shutdown: SIGQUIT to all at once, and exit status 1', async () => {
  const postmaster = await startPostmaster({
    shutdownTimeout: LATER,
    cast: [
      { name: 'crasher', main: 'crashOnSigterm', flags },
      // It would be waited for, for an hour.
      { name: 'stubborn', main: 'ignoreSigterm', flags },
      { name: 'stubborn, alone', main: 'ignoreSigterm' },
    ],
  });
  await postmaster.heard('crasher', 'ready');
  for (const name of ['stubborn', 'stubborn, alone']) await postmaster.heard(name, 'ignoring');
  postmaster.tell({ do: 'stop', mode: 'fast' });
  expect(await postmaster.end()).toEqual({ code: 1, signal: null });
  expect((await postmaster.exitOf('crasher')).how).toBe('SIGSEGV');
  for (const name of ['stubborn', 'stubborn, alone']) {
    expect((await postmaster.exitOf(name)).how).toBe('code 2');
  }
  expect(linesOf(postmaster, /reinitializing/)).toBe(0);
  await postmaster.logged(/abnormal postmaster shutdown/);
});

test('a stop during a crash cycle: no new memory, the deaf one killed, exit status 1', async () => {
  const postmaster = await startPostmaster({
    cast: [
      { name: 'victim', main: 'idle', flags },
      { name: 'deaf', main: 'deaf', flags },
      { name: 'alone', main: 'idle' },
    ],
  });
  await postmaster.heard('victim', 'idle');
  await postmaster.heard('alone', 'idle');
  await postmaster.heard('deaf', 'ready');
  process.kill(postmaster.pidOf('victim'), 'SIGKILL');
  await postmaster.until('crash');
  postmaster.tell({ do: 'stop', mode: 'fast' });
  expect(await postmaster.end()).toEqual({ code: 1, signal: null });
  expect((await postmaster.exitOf('deaf')).how).toBe('SIGKILL');
  expect(linesOf(postmaster, /reinitializing/)).toBe(0);
});

/** Hooks that say that they run, and stay as long as the test wants. */
function hookModule(body: string): string {
  return moduleFile(`
    import { existsSync, writeFileSync, writeSync } from 'node:fs';
    const say = (name, text) =>
      writeSync(1, JSON.stringify({ kind: 'say', name, pid: process.pid, text }) + '\\n');
    const stay = () => (setInterval(() => {}, 1 << 30), new Promise(() => {}));
    const isSecond = (trace) => existsSync(trace) || (writeFileSync(trace, ''), false);
    export function init({ shmem, registerBackgroundWorker }) {
      shmem.onStartup(async () => {
        const trace = process.env.TRACE;
        say('hook', 'runs');
        ${body}
      });
      const main = async (worker) => (say(worker.name, 'is there'), await stay());
      registerBackgroundWorker({ name: 'attached', flags: ['SHMEM_ACCESS'], restartTime: 3600, main });
      registerBackgroundWorker({ name: 'early', startTime: 'PostmasterStart', restartTime: 3600, main });
    }`);
}

/** For what happens the second time only. */
function traced() {
  return { TRACE: moduleFile('', 'unused').replace(/unused$/, 'trace') };
}

test('the process of the hooks is killed at the start: that is the end of it', async () => {
  const preload = [hookModule(`process.kill(process.pid, 'SIGKILL'); await stay();`)];
  const { refusal } = await refusedStart({ preload });
  expect(refusal.code).toBe('ERR_SHARED_MEMORY');
  expect(refusal.message).toContain('SIGKILL');
});

test.each([
  ['throws', `throw new Error('not again')`, /not again/],
  ['crashes', `process.kill(process.pid, 'SIGSEGV'); await stay()`, /SIGSEGV/],
])(
  'a hook that %s after a crash ends the postmaster with exit status 1',
  async (_how, act, why) => {
    const preload = [hookModule(`if (isSecond(trace)) { ${act} }`)];
    const postmaster = await startPostmaster({ preload, env: traced() });
    for (const name of ['attached', 'early']) await postmaster.heard(name, 'is there');
    process.kill(postmaster.pidOf('attached'), 'SIGKILL');
    expect(await postmaster.end()).toEqual({ code: 1, signal: null });
    await postmaster.logged(why);
    expect(postmaster.all('crash')).toHaveLength(1);
    expect(postmaster.all('start').filter(({ name }) => name === 'attached')).toHaveLength(1);
  },
);

test.each([
  ['launcher', (postmaster: PostmasterProgram) => postmaster.launcherPid],
  ['early worker', (postmaster: PostmasterProgram) => postmaster.pidOf('early')],
] as const)('the %s is killed while the hooks run after a crash', async (who, pidOf) => {
  // The second time it stays; the third time, after the launcher's death, it returns.
  const body = `if (isSecond(trace) && !existsSync(trace + '2')) {
    writeFileSync(trace + '2', '');
    say('hook', 'stays');
    await new Promise((resolve) => setTimeout(resolve, ${who === 'launcher' ? 'LONG' : 'SHORT'}));
  }`;
  const preload = [hookModule(body.replace('LONG', '3_600_000').replace('SHORT', '100'))];
  const postmaster = await startPostmaster({ preload, env: traced() });
  for (const name of ['attached', 'early']) await postmaster.heard(name, 'is there');
  const early = postmaster.pidOf('early');
  process.kill(postmaster.pidOf('attached'), 'SIGKILL');
  await postmaster.heard('hook', 'stays');
  const after = postmaster.mark();
  const victim = pidOf(postmaster);
  process.kill(victim, 'SIGKILL');
  await postmaster.heard('attached', 'is there', { after });
  if (who === 'launcher') {
    await postmaster.heard('early', 'is there', { after });
    expect(postmaster.all('crash')).toHaveLength(2);
  } else {
    expect(victim).toBe(early);
    expect(postmaster.all('crash')).toHaveLength(1);
    // It waits for its own interval: the cycle is not its affair.
    expect((await postmaster.workers()).find(({ name }) => name === 'early')?.pid).toBeNull();
  }
  expect(childrenOf(postmaster.pid).map(commandOf)).toHaveLength(1);
  await postmaster.stop();
});

function linesOf(postmaster: PostmasterProgram, pattern: RegExp): number {
  return postmaster.log.split('\n').filter((line) => pattern.test(line)).length;
}
