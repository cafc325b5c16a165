// Every way out of a worker × every form of one: the postmaster reports the right status, and
// nobody hangs on the way (node's own exit path would, in a fork).

import { describe, expect, test } from 'vitest';
import type * as leave from '../fixtures/process/roles/leave.ts';
import type { Part } from '../fixtures/process/script.ts';
import { compileNative } from '../harness/native-library.ts';
import { startPostmaster } from '../harness/postmaster.ts';
import { fixture } from '../harness/program.ts';

type Way = keyof typeof leave;

const WAYS: Readonly<Record<Way, string>> = {
  exit0: 'code 0',
  exit1: 'code 1',
  exit2: 'code 2',
  exit7: 'code 7',
  exitMinus1: 'code 255', // as the kernel sees it
  exit256: 'code 0',
  exitLater: 'code 7',
  throwAtOnce: 'code 1',
  throwAfterAwait: 'code 1',
  throwFromTimer: 'code 1',
  throwNull: 'code 1',
  throwOddity: 'code 1',
  rejectForNobody: 'code 1',
  drain: 'code 0',
  drainTwice: 'code 7',
  drainWithExitCode: 'code 7',
  returnWithExitCode: 'code 7',
  drainWithoutListeners: 'code 0',
  throwWithoutListeners: 'code 1',
  abort: 'SIGABRT',
  killSelf: 'SIGKILL',
  killSelfSegv: 'SIGSEGV',
  killSelfTerm: 'code 1', // the default handler's message, and exit 1
  exitInExitListener: 'code 7',
  exitCodeInExitListener: 'code 7',
  throwInExitListener: 'code 1',
  throwInExitListenerOfDrain: 'code 1',
  handleOwnError: 'code 7',
  throwInHandler: 'code 7', // as in any Node program
  exitWrapped: 'code 7',
  drainWrapped: 'code 7',
  returnWithHandles: 'code 0',
  returnAtOnce: 'code 0',
};

const ways = Object.keys(WAYS) as Way[];

const FORMS: Readonly<Record<string, (way: Way) => Omit<Part, 'name'>>> = {
  'a closure': (main) => ({ main }),
  'a module': (way) => ({ module: fixture('roles/leave.js'), function: way }),
  'a closure in a fresh node': (main) => ({ main, launch: 'exec' }),
  'a module in a fresh node': (way) => ({
    module: fixture('roles/leave.js'),
    function: way,
    launch: 'exec',
  }),
};

describe.each(Object.entries(FORMS))('%s', (_form, bodyOf) => {
  test('leaves with the right status, whatever it does', async () => {
    const cast = ways.map((name) => ({ name, ...bodyOf(name), restartTime: 'never' as const }));
    const postmaster = await startPostmaster({ cast });
    const exits = await postmaster.count('exit', ways.length);
    expect(Object.fromEntries(exits.map(({ name, how }) => [name, how]))).toEqual(WAYS);
    // Without shared memory there is nothing to put in doubt.
    expect(postmaster.all('crash')).toEqual([]);
    await postmaster.stop();
  });
});

const PROGRAMS: Readonly<Record<string, readonly [script: string, how: string]>> = {
  'exit 0': ['exit 0', 'code 0'],
  'exit 1': ['exit 1', 'code 1'],
  'exit 7': ['exit 7', 'code 7'],
  'exit 255': ['exit 255', 'code 255'],
  killed: ['kill -KILL $$', 'SIGKILL'],
  faulty: ['kill -SEGV $$', 'SIGSEGV'],
  // It starts with default dispositions and nothing blocked.
  terminated: ['kill -TERM $$; sleep 1000', 'SIGTERM'],
  'not interrupted by a reload': ['kill -HUP $$; exit 3', 'code 3'],
};

test('a program leaves with the status that its end has', async () => {
  const cast = Object.entries(PROGRAMS).map(([name, [script]]) => ({
    name,
    exec: ['sh', '-c', script],
    restartTime: 'never' as const,
  }));
  const postmaster = await startPostmaster({ cast });
  const exits = await postmaster.count('exit', cast.length);
  expect(Object.fromEntries(exits.map(({ name, how }) => [name, how]))).toEqual(
    Object.fromEntries(Object.entries(PROGRAMS).map(([name, [, how]]) => [name, how])),
  );
  await postmaster.stop();
});

describe('attached to shared memory', () => {
  const flags = ['SHMEM_ACCESS'] as const;
  const orderly: readonly Way[] = ways.filter((way) => /^code [01]$/.test(WAYS[way]));

  test.each(['fork', 'exec'] as const)(
    'who leaves with 0 or 1 by any way detaches first (%s)',
    async (launch) => {
      const cast = orderly.map((main) => ({
        name: main,
        main,
        launch,
        flags,
        restartTime: 'never' as const,
      }));
      const postmaster = await startPostmaster({ cast });
      const exits = await postmaster.count('exit', cast.length);
      expect(exits.filter(({ cleanDetach }) => !cleanDetach)).toEqual([]);
      expect(postmaster.all('crash')).toEqual([]);
      await postmaster.stop();
    },
  );

  test.each(['exit2', 'exit7', 'abort', 'killSelf', 'killSelfSegv'] as const)(
    '%s is a crash',
    async (main) => {
      const cast = [
        { name: 'other', main: 'idle', flags },
        {
          name: 'one',
          main,
          flags,
          restartTime: 'never' as const,
          startTime: 'RecoveryFinished' as const,
        },
      ];
      const postmaster = await startPostmaster({ cast });
      await postmaster.until('crash');
      // Exit 2 and the rest, even after a cleanup: the other one is replaced.
      await postmaster.exitOf('other');
      await postmaster.count('start', 2, ({ name }) => name === 'other');
      await postmaster.stop();
    },
  );

  test.each(['leave_0', 'leave_1'])(
    'a native %s without detaching is a crash, whatever its code says',
    async (way) => {
      const library = compileNative(`
        #include <bgworker.h>
        #include <unistd.h>
        int leave_0(const struct bgworker_api *a, struct bgworker_context *c) { _exit(0); }
        int leave_1(const struct bgworker_api *a, struct bgworker_context *c) { _exit(1); }`);
      const postmaster = await startPostmaster({
        cast: [
          { name: 'other', main: 'idle', flags },
          { name: 'one', native: { library, function: way }, flags, restartTime: 'never' },
        ],
      });
      await postmaster.until('crash');
      const exit = await postmaster.exitOf('one');
      expect(exit).toMatchObject({ how: `code ${way.at(-1)}`, cleanDetach: false });
      await postmaster.logged(/without detaching from shared memory/);
      await postmaster.count('start', 2, ({ name }) => name === 'other');
      await postmaster.stop();
    },
  );
});

test('a native worker leaves with what its function returns', async () => {
  const library = compileNative(`
    #include <bgworker.h>
    #include <stdlib.h>
    #define WAY(name, body) int name(const struct bgworker_api *a, struct bgworker_context *c) { body; }
    WAY(return_0, return 0)
    WAY(return_7, return 7)
    WAY(return_minus_1, return -1)
    WAY(return_256, return 256)
    WAY(aborts, abort())`);
  const expected = {
    return_0: 'code 0',
    return_7: 'code 7',
    return_minus_1: 'code 255',
    return_256: 'code 0',
    aborts: 'SIGABRT',
  };
  const cast = Object.keys(expected).map((name) => ({
    name,
    native: { library, function: name },
    restartTime: 'never' as const,
  }));
  const postmaster = await startPostmaster({ cast });
  const exits = await postmaster.count('exit', cast.length);
  expect(Object.fromEntries(exits.map(({ name, how }) => [name, how]))).toEqual(expected);
  await postmaster.stop();
});
