// Signals: blocked until main() could install handlers, then PostgreSQL's defaults; none is lost.

import { describe, expect, test } from 'vitest';
import { compileNative } from '../harness/native-library.ts';
import { startPostmaster } from '../harness/postmaster.ts';

describe.each(['fork', 'exec'] as const)('by %s', (launch) => {
  test('SIGTERM without a handler: a message, exit 1, started again', async () => {
    const postmaster = await startPostmaster({
      cast: [{ name: 'one', type: 'lingerer', main: 'linger', launch, restartTime: 0 }],
    });
    await postmaster.heard('one', 'lingering');
    const first = postmaster.pidOf('one');
    const after = postmaster.mark();
    process.kill(first, 'SIGTERM');
    expect(await postmaster.exitOf('one')).toMatchObject({ how: 'code 1', standing: 'due' });
    await postmaster.logged(
      /FATAL.*terminating background worker "lingerer" due to administrator command/,
    );
    await postmaster.heard('one', 'lingering', { after });
    expect(postmaster.pidOf('one')).not.toBe(first);
    await postmaster.stop();
  });

  test.each(['idle', 'onSigtermByWorker', 'onSigtermByProcess', 'onSigtermLate'])(
    'SIGTERM with a handler of its own (%s): exit 0, done',
    async (main) => {
      const postmaster = await startPostmaster({
        cast: [{ name: 'one', main, launch, restartTime: 0 }],
      });
      await postmaster.heard('one', main === 'idle' ? 'idle' : 'ready');
      process.kill(postmaster.pidOf('one'), 'SIGTERM');
      expect(await postmaster.exitOf('one')).toMatchObject({ how: 'code 0', standing: 'gone' });
      expect(await postmaster.workers()).toEqual([]);
      await postmaster.stop();
    },
  );

  test('signals of the synchronous part are neither lost nor fatal', async () => {
    const postmaster = await startPostmaster({
      cast: [{ name: 'one', main: 'signalInSynchronousPart', launch }],
    });
    await postmaster.heard('one', 'ready');
    await postmaster.heard('one', 'SIGHUP');
    await postmaster.heard('one', 'SIGTERM');
    expect(await postmaster.exitOf('one')).toMatchObject({ how: 'code 0' });
    await postmaster.stop();
  });

  test('SIGHUP, SIGINT, SIGUSR2 and SIGPIPE are nothing to who does not ask', async () => {
    const postmaster = await startPostmaster({
      cast: [{ name: 'one', main: 'ignoreTheRest', launch }],
    });
    await postmaster.heard('one', 'unharmed');
    await postmaster.heard('one', 'idle');
    await postmaster.stop();
  });

  test('reload() reaches handlers, sets the latch and disturbs nobody else', async () => {
    const postmaster = await startPostmaster({
      cast: [
        { name: 'one', main: 'onReload', launch },
        { name: 'other', main: 'linger', launch },
        { name: 'program', exec: ['sh', '-c', 'exec sleep 1000'] },
      ],
    });
    await postmaster.heard('one', 'ready');
    await postmaster.heard('other', 'lingering');
    await postmaster.startOf('program');
    for (const reloads of [1, 2]) {
      const after = postmaster.mark();
      postmaster.tell({ do: 'reload' });
      const { value } = await postmaster.heard('one', 'woken', { after });
      expect(value).toEqual({ reloads, latchSet: true, timeout: false });
    }
    expect(postmaster.all('exit')).toEqual([]);
    await postmaster.stop();
  });

  test.each(['busy', 'busyLater'])('SIGQUIT ends a %s loop with exit 2 at once', async (main) => {
    const postmaster = await startPostmaster({
      cast: [{ name: 'one', main, launch, restartTime: 'never' }],
    });
    await postmaster.heard('one', 'busy');
    process.kill(postmaster.pidOf('one'), 'SIGQUIT');
    expect(await postmaster.exitOf('one')).toMatchObject({ how: 'code 2' });
    await postmaster.stop();
  });
});

test.each(['fork', 'exec'] as const)(
  'a native worker by %s: SIGTERM and SIGHUP are flags, seen after a wait',
  async (launch) => {
    const library = compileNative(`
    #include <bgworker.h>
    int watch(const struct bgworker_api *api, struct bgworker_context *c) {
      api->log(c, "watching");
      for (;;) {
        unsigned why = api->wait(c, -1);
        if (why & BGWORKER_SIGNALLED && api->reload_requested(c)) api->log(c, "reload seen");
        if (api->shutdown_requested(c)) return 0;
      }
    }`);
    const postmaster = await startPostmaster({
      cast: [{ name: 'one', native: { library, function: 'watch' }, launch }],
    });
    await postmaster.logged(/watching/);
    postmaster.tell({ do: 'reload' });
    await postmaster.logged(/reload seen/);
    await postmaster.stop();
    expect(postmaster.all('exit')).toMatchObject([{ how: 'code 0' }]);
  },
);
