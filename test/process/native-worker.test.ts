// Workers in C with a real postmaster around them: they share memory with workers in TypeScript,
// are told to stop, die, and leave by exit(). What each verb does is the native tests' business.

import { execFile } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { describe, expect, test } from 'vitest';
import type { Part } from '../fixtures/process/script.ts';
import { isGone } from '../harness/leftovers.ts';
import { compileNative } from '../harness/native-library.ts';
import { moduleFile, type PostmasterProgram, startPostmaster } from '../harness/postmaster.ts';
import { PATIENCE_MS } from '../harness/program.ts';

const EXAMPLE = new URL('../../dist-programs/examples/native-worker/', import.meta.url);
const SOURCE = fileURLToPath(new URL('../../examples/native-worker/exchange.c', import.meta.url));
const flags = ['SHMEM_ACCESS'] as const;

/** The example's preload module, whose workers are all started in this way. */
function exampleBy(launch: 'fork' | 'exec'): string {
  return moduleFile(`
    import { init as registerAll } from '${new URL('workers.js', EXAMPLE)}';
    export function init(server) {
      registerAll({
        shmem: server.shmem,
        registerBackgroundWorker: (options) =>
          server.registerBackgroundWorker({ ...options, launch: '${launch}' }),
      });
    }`);
}

test.each(['fork', 'exec'] as const)(
  'a worker in C and one in TypeScript exchange messages, and are done (%s)',
  async (launch) => {
    const env = {
      EXCHANGE_LIBRARY: compileNative(readFileSync(SOURCE, 'utf8')),
      EXCHANGE_TEXTS: '5000',
    };
    const postmaster = await startPostmaster({ preload: [exampleBy(launch)], env });
    const exits = await postmaster.count('exit', 2);
    await postmaster.logged(/the two have counted 10000/);
    for (const exit of exits) expect(exit).toMatchObject({ how: 'code 0', cleanDetach: true });
    expect(await postmaster.workers()).toEqual([]);
    expect(postmaster.all('crash')).toEqual([]);
    await postmaster.stop();
  },
);

test('the example builds and runs as its first lines say', async () => {
  const program = fileURLToPath(new URL('start.js', EXAMPLE));
  const { stdout, stderr } = await promisify(execFile)(process.execPath, [program]);
  expect(stdout).toContain('talker has ended: {"kind":"code","code":0}');
  expect(stdout).toContain('capitals has ended: {"kind":"code","code":0}');
  expect(stderr).toContain('the two have counted 2000');
});

/** Says in the log what it waits for, and what came of it. */
const WAITING = `
#include <bgworker.h>
#include <stdio.h>
static int initialise(struct bgworker_context *c, void *memory, size_t bytes, void *api) {
  return ((const struct bgworker_api *)api)->mq->create(c, memory, bytes);
}
int wait_for_ever(const struct bgworker_api *api, struct bgworker_context *c) {
  struct bgworker_segment segment;
  struct bgworker_mq_handle in;
  const void *data;
  size_t bytes;
  char line[128];
  int found = api->dsm->named(c, "waiting", 4096, initialise, (void *)api, &segment);
  int taken = api->mq->attach_receiver(c, segment.address, 4096, &in);
  snprintf(line, sizeof line, "waiting found=%d taken=%d", found, taken);
  api->log(c, line);
  int result = api->mq->receive(c, in, &data, &bytes, -1);
  snprintf(line, sizeof line, "the wait ended: %s", api->error_text(result));
  api->log(c, line);
  return result == BGWORKER_ERR_SHUTDOWN ? 0 : 1;
}
`;

function waitingIn(launch: 'fork' | 'exec'): Part {
  const native = { library: compileNative(WAITING), function: 'wait_for_ever' };
  return { name: 'waiting', native, flags, launch, restartTime: 3600 };
}

describe.each(['fork', 'exec'] as const)(
  'a worker in C that waits for a message (%s)',
  (launch) => {
    test('is not disturbed by a reload, and stopped by a shutdown', async () => {
      const postmaster = await startPostmaster({ cast: [waitingIn(launch)] });
      await postmaster.logged(/waiting found=0 taken=0/);
      postmaster.tell({ do: 'reload' });
      await postmaster.stop();
      await postmaster.logged(/the wait ended: the worker was asked to shut down/);
      expect(postmaster.all('exit')).toMatchObject([{ how: 'code 0', cleanDetach: true }]);
    });

    test('is gone soon after the postmaster', async () => {
      const postmaster = await startPostmaster({ cast: [waitingIn(launch)] });
      await postmaster.logged(/waiting found=0 taken=0/);
      const { pid } = await postmaster.startOf('waiting');
      postmaster.kill('SIGKILL');
      await postmaster.exited;
      await expect.poll(() => isGone(pid), { timeout: PATIENCE_MS, interval: 10 }).toBe(true);
    });

    test('comes back with new memory when it, or another, crashes', async () => {
      const library = compileNative(WAITING);
      const cast: Part[] = [
        waitingIn(launch),
        { name: 'other', main: 'idle', flags, restartTime: 3600 },
      ];
      const postmaster = await startPostmaster({ cast: [...cast] });
      expect(library).toBeTruthy();
      for (const victim of ['waiting', 'other'] as const) {
        await seen(postmaster, 'waiting found=0 taken=0', victim === 'waiting' ? 1 : 2);
        await postmaster.heard('other', 'idle');
        const after = postmaster.mark();
        process.kill(postmaster.pidOf(victim), 'SIGKILL');
        await postmaster.startOf('waiting', after);
        await postmaster.heard('other', 'idle', { after });
      }
      await seen(postmaster, 'waiting found=0 taken=0', 3);
      expect(postmaster.all('crash')).toHaveLength(2);
      await postmaster.stop();
    });
  },
);

/** The log has this line so many times. */
async function seen(postmaster: PostmasterProgram, line: string, times: number): Promise<void> {
  const count = () => postmaster.log.split(line).length - 1;
  await expect.poll(count, { timeout: PATIENCE_MS, interval: 10 }).toBe(times);
}

test('without SHMEM_ACCESS the verbs refuse, and the worker goes on', async () => {
  const library = compileNative(`
    #include <bgworker.h>
    int apart(const struct bgworker_api *api, struct bgworker_context *c) {
      struct bgworker_segment segment;
      int refused = api->dsm->create(c, 64, &segment);
      api->log(c, api->error_text(refused));
      if (refused != BGWORKER_ERR_NOT_ATTACHED || api->slot(c) != refused) return 2;
      return api->wait(c, 1) == BGWORKER_TIMEOUT ? 0 : 3;
    }`);
  const postmaster = await startPostmaster({
    cast: [{ name: 'apart', native: { library, function: 'apart' }, restartTime: 'never' }],
  });
  expect(await postmaster.exitOf('apart')).toMatchObject({ how: 'code 0' });
  await postmaster.logged(/this worker has no shared memory.*SHMEM_ACCESS/);
  await postmaster.stop();
});

describe.each(['fork', 'exec'] as const)('exit() in C (%s)', (launch) => {
  const ways: readonly (readonly [code: number, attached: boolean, how: string])[] = [
    [0, false, 'code 0'],
    [1, false, 'code 1'],
    [7, false, 'code 7'],
    [-1, false, 'code 255'],
    [0, true, 'code 0'],
    [1, true, 'code 1'],
  ];

  test('leaves with its code, and detaches first', async () => {
    const library = compileNative(`
      #include <bgworker.h>
      #include <stdlib.h>
      int leave(const struct bgworker_api *api, struct bgworker_context *c) {
        struct bgworker_segment segment;
        if (api->slot(c) >= 0 && api->dsm->create(c, 64, &segment) == 0)
          api->lwlock->acquire(c, segment.address, BGWORKER_LW_SHARED);
        exit(atoi(api->name(c)));
      }`);
    const cast = ways.map(([code, attached]) => ({
      name: `${code} ${attached ? 'attached' : 'apart'}`,
      native: { library, function: 'leave' },
      flags: attached ? flags : [],
      launch,
      restartTime: 'never' as const,
    }));
    const postmaster = await startPostmaster({ cast });
    const exits = await postmaster.count('exit', ways.length);
    const hows = new Map(exits.map(({ name, how, cleanDetach }) => [name, { how, cleanDetach }]));
    for (const [index, [, , how]] of ways.entries()) {
      expect(hows.get(cast[index]?.name ?? '')).toEqual({ how, cleanDetach: true });
    }
    expect(postmaster.all('crash')).toEqual([]);
    await postmaster.stop();
  });
});
