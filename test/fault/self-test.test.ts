// A machine on which a fork of node does not work: the test fork notices, and workers are exec'ed.
//
// The honest way to such a machine is a library that breaks the fork, as profilers and sanitizers
// do: it is loaded into every process here and acts in the launcher only.

import { expect, test } from 'vitest';
import { compileNative } from '../harness/native-library.ts';
import { refusedStart, startPostmaster } from '../harness/postmaster.ts';

/** `act` runs in the child of the launcher's first fork, which is the test fork; or in the parent. */
function brokenFork(where: 'parent' | 'child', act: string): NodeJS.ProcessEnv {
  const handlers = where === 'child' ? 'before, 0, act' : 'before, act, 0';
  const library = compileNative(`
    #define _GNU_SOURCE
    #include <pthread.h>
    #include <signal.h>
    #include <string.h>
    #include <stdio.h>
    #include <unistd.h>
    static int forks;
    static void before(void) { forks++; }
    static void act(void) { if (forks == 1) { ${act}; } }
    __attribute__((constructor)) static void install(void) {
      char text[4096];
      FILE *file = fopen("/proc/self/cmdline", "r");
      size_t got = fread(text, 1, sizeof text - 1, file);
      fclose(file);
      for (size_t i = 0; i < got; i++) if (!text[i]) text[i] = ' ';
      text[got] = 0;
      if (strstr(text, "/dist/bundle/launcher.js")) pthread_atfork(${handlers});
    }`);
  return { LD_PRELOAD: library };
}

const CAST = [
  { name: 'closure', main: 'idle', arg: 1 },
  { name: 'attached', main: 'idle', flags: ['SHMEM_ACCESS'] as const },
  { name: 'done', main: 'exit7', restartTime: 'never' as const },
  { name: 'program', exec: ['sleep', '1000'] },
];

test.each([
  ['leaves with a code', '_exit(9)', /left with exit code 9/],
  ['crashes', 'raise(SIGSEGV)', /was ended by signal 11/],
  // It is given five seconds.
  ['hangs', 'for (;;) pause()', /was ended by signal 9/],
] as const)('a test fork that %s: exec, and the log says why', async (_what, act, why) => {
  const postmaster = await startPostmaster({ cast: CAST, env: brokenFork('child', act) });
  const line = await postmaster.logged(/WARN.*workers are launched by exec of a fresh node/);
  expect(line).toMatch(why);
  expect(line).toContain(process.version);
  await postmaster.heard('closure', 'idle');
  await postmaster.heard('attached', 'idle');
  expect(await postmaster.exitOf('done')).toMatchObject({ how: 'code 7' });
  // The same semantics as ever: a crash of who is attached, and the way down.
  const after = postmaster.mark();
  process.kill(postmaster.pidOf('attached'), 'SIGKILL');
  await postmaster.heard('attached', 'idle', { after });
  await postmaster.stop();
  expect(postmaster.all('exit').filter(({ name }) => name === 'closure')).toMatchObject([
    { how: 'code 0' },
  ]);
});

test('a test fork that takes the launcher with it: the start fails and says so', async () => {
  const { refusal } = await refusedStart({
    cast: CAST,
    env: brokenFork('parent', 'raise(SIGKILL)'),
  });
  expect(refusal.code).toBe('ERR_LAUNCHER_FAILED');
  expect(refusal.message).toMatch(/signal SIGKILL/);
});

test("launch: 'exec' for all", async () => {
  const postmaster = await startPostmaster({ cast: CAST, launch: 'exec' });
  await postmaster.logged(/WARN.*exec of a fresh node.*because the option launch says so/);
  await postmaster.heard('closure', 'idle');
  await postmaster.heard('attached', 'idle');
  expect(await postmaster.exitOf('done')).toMatchObject({ how: 'code 7' });
  await postmaster.stop();
});
