// A startup process: its way through the phases, its way again after a crash, its end, and everybody
// else's end by it.

import { describe, expect, test } from 'vitest';
import { isGone } from '../harness/leftovers.ts';
import {
  moduleFile,
  PostmasterProgram,
  refusedStart,
  type Setting,
  startPostmaster,
} from '../harness/postmaster.ts';
import { fixture } from '../harness/program.ts';

const setting = (role: string, rest: Setting = {}): Setting => ({
  preload: [fixture('startup.js')],
  cast: [],
  ...rest,
  env: { BGWORKER_TEST_STARTUP: role },
});

const phasesOf = (postmaster: PostmasterProgram, after = 0) =>
  postmaster.lines.slice(after).flatMap((line) => (line.kind === 'phase' ? [line.phase] : []));

/** Heard the startup process say that, it goes a step further. */
async function stepAt(postmaster: PostmasterProgram, text: string, after = 0): Promise<void> {
  const { pid } = await postmaster.heard('restore', text, { after });
  process.kill(pid, 'SIGHUP');
}

describe.each(['fork', 'exec'] as const)('launched by %s', (launch) => {
  test('it moves the phases, and fills shared memory before anybody looks', async () => {
    const postmaster = new PostmasterProgram(
      setting('restore', {
        launch,
        maxWorkerProcesses: 3,
        cast: [
          { name: 'early', main: 'idle', startTime: 'PostmasterStart' },
          { name: 'late', main: 'idle', startTime: 'RecoveryFinished' },
        ],
      }),
    );
    const restoring = await postmaster.heard('restore', 'restoring');
    // Beside the workers, whose slots it does not take.
    expect(restoring.value).toEqual({ before: 0, slot: 3, title: 'bgworker: restore' });
    await postmaster.heard('early', 'idle');
    await postmaster.until('phase', ({ phase }) => phase === 'RECOVERY');
    expect(postmaster.all('started')).toEqual([]);
    await stepAt(postmaster, 'restoring');
    await postmaster.until('started');
    expect(await postmaster.heard('reader', 'reads')).toMatchObject({ value: 42 });
    expect(postmaster.all('start').map(({ name }) => name)).not.toContain('late');
    await stepAt(postmaster, 'consistent');
    await postmaster.heard('late', 'idle');
    expect(phasesOf(postmaster)).toEqual(['STARTUP', 'RECOVERY', 'HOT_STANDBY', 'RUN']);
    expect(isGone(restoring.pid)).toBe(true);
    // It is no worker.
    const shown = await postmaster.workers();
    expect(shown.map(({ name }) => name)).toEqual(['reader', 'early', 'late']);
    await postmaster.stop();
  });

  test('a crash while it is at work: it goes down with it, and begins anew on zero memory', async () => {
    const postmaster = new PostmasterProgram(setting('restore', { launch }));
    const first = await postmaster.heard('restore', 'restoring');
    await stepAt(postmaster, 'restoring');
    await postmaster.heard('reader', 'reads');
    const after = postmaster.mark();
    process.kill(postmaster.pidOf('reader'), 'SIGKILL');
    await postmaster.until('crash');
    const again = await postmaster.heard('restore', 'restoring', { after });
    expect(isGone(first.pid)).toBe(true);
    expect(again.value).toMatchObject({ before: 0 });
    await stepAt(postmaster, 'restoring', after);
    expect(await postmaster.heard('reader', 'reads', { after })).toMatchObject({ value: 42 });
    await stepAt(postmaster, 'consistent', after);
    await postmaster.until('phase', ({ phase }) => phase === 'RUN', { after });
    expect(phasesOf(postmaster, after)).toEqual([
      ...['WAIT_BACKENDS', 'STARTUP', 'RECOVERY', 'HOT_STANDBY', 'RUN'],
    ]);
    await postmaster.stop();
  });
});

test('a crash after it is done: it runs again before anybody who is attached', async () => {
  const postmaster = await startPostmaster(setting('atOnce'));
  await postmaster.heard('reader', 'reads');
  const after = postmaster.mark();
  process.kill(postmaster.pidOf('reader'), 'SIGKILL');
  expect(await postmaster.heard('reader', 'reads', { after })).toMatchObject({ value: 42 });
  await postmaster.stop();
});

test('the launcher is killed: it runs again in the next one', async () => {
  const postmaster = await startPostmaster(setting('atOnce'));
  await postmaster.heard('reader', 'reads');
  const after = postmaster.mark();
  process.kill(postmaster.launcherPid, 'SIGKILL');
  expect(await postmaster.heard('reader', 'reads', { after })).toMatchObject({ value: 42 });
  await postmaster.stop();
});

test('the launcher is killed while it is at work: it begins anew', async () => {
  const postmaster = new PostmasterProgram(setting('restore'));
  const { pid } = await postmaster.heard('restore', 'restoring');
  const after = postmaster.mark();
  process.kill(postmaster.launcherPid, 'SIGKILL');
  const again = await postmaster.heard('restore', 'restoring', { after });
  expect(again.pid).not.toBe(pid);
  await postmaster.stop();
});

test('the postmaster is killed: it goes, too', async () => {
  const postmaster = new PostmasterProgram(setting('waits'));
  await postmaster.heard('restore', 'restoring');
  postmaster.kill('SIGKILL');
  await postmaster.empty();
});

describe('its failure ends the start, with its words', () => {
  const failures: [role: string, words: RegExp][] = [
    ['throws', /aborting the start because the startup process failed: no log to replay$/],
    ['exits', /the startup process exited with exit code 7$/],
    ['dies', /the startup process was terminated by signal SIGSEGV$/],
    ['vanishes', /the startup process was terminated by signal SIGKILL$/],
  ];
  test.each(failures)('%s', async (role, words) => {
    const { refusal, program } = await refusedStart(setting(role));
    expect(refusal.code).toBe('ERR_STARTUP_FAILED');
    expect(refusal.message).toMatch(words);
    expect(program.all('finish')).toMatchObject([{ exitCode: 1 }]);
    expect(program.all('start')).toEqual([]);
  });

  test('by exec of a fresh node, the same', async () => {
    const { refusal } = await refusedStart(setting('throws', { launch: 'exec' }));
    expect(refusal).toMatchObject({ code: 'ERR_STARTUP_FAILED' });
    expect(refusal.message).toMatch(/no log to replay$/);
  });

  test('words without end are cut off', async () => {
    const postmaster = new PostmasterProgram(setting('talks'));
    await postmaster.until('finish');
    await postmaster.end();
    const [line = ''] = postmaster.log.match(/aborting the start because .*x/g) ?? [];
    expect(line.length).toBeGreaterThan(4_000);
    expect(line.length).toBeLessThan(5_000);
  });
});

test('a failure later ends everything in order, with exit status 1', async () => {
  const postmaster = await startPostmaster(setting('throwsLater'));
  await postmaster.heard('reader', 'reads');
  await stepAt(postmaster, 'consistent');
  expect(await postmaster.until('finish')).toMatchObject({ exitCode: 1 });
  expect(await postmaster.exitOf('reader')).toMatchObject({ how: 'code 0', cleanDetach: true });
  await postmaster.logged(/ERROR.*startup process failed: the log ends in the middle/);
  expect(await postmaster.end()).toMatchObject({ code: 1 });
});

describe('a stop does not wait for its work', () => {
  test.each(['smart', 'fast', 'immediate'] as const)('%s', async (mode) => {
    const postmaster = new PostmasterProgram(setting('waits'));
    await postmaster.heard('restore', 'restoring');
    await postmaster.stop(mode);
    expect(postmaster.all('finish')).toMatchObject([{ exitCode: 0 }]);
    expect(postmaster.all('refused')).toMatchObject([{ code: 'ERR_WRONG_STATE' }]);
  });

  test('not even if it does not listen', async () => {
    const postmaster = new PostmasterProgram(setting('stubborn', { shutdownTimeout: 0 }));
    await postmaster.heard('restore', 'restoring');
    await postmaster.stop('fast');
    await postmaster.logged(/issuing SIGQUIT to recalcitrant children/);
  });
});

test('SIGHUP of the postmaster reaches it', async () => {
  const postmaster = new PostmasterProgram(setting('restore'));
  await postmaster.heard('restore', 'restoring');
  await postmaster.until('phase', ({ phase }) => phase === 'RECOVERY');
  postmaster.tell({ do: 'reload' });
  await postmaster.heard('restore', 'consistent');
  await postmaster.stop();
});

describe('a registration that is wrong is the module’s failure', () => {
  const register = (text: string) => `export function init(server) { ${text} }`;
  const bad: [what: string, source: string, words: RegExp, rest?: Setting][] = [
    [
      'no function',
      register('server.registerStartupProcess(7)'),
      /startup process: main must be a function, got 7/,
    ],
    [
      'a name that is none',
      register("server.registerStartupProcess(() => {}, { name: '' })"),
      /startup process: name must be a text of 1 to 95 bytes/,
    ],
    [
      'an option that does not exist',
      register("server.registerStartupProcess(() => {}, { nam: 'x' })"),
      /there is no option "nam"; did you mean "name"\?/,
    ],
    [
      'a second one',
      register('server.registerStartupProcess(() => {}); server.registerStartupProcess(() => {});'),
      /there is one startup process, and it is registered already/,
    ],
    [
      'beside a database',
      register('server.registerStartupProcess(() => {})'),
      /a startup process and the option postgres exclude each other/,
      { postgres: { conninfo: 'host=/nowhere' } },
    ],
  ];
  test.each(bad)('%s', async (_what, source, words, rest = {}) => {
    const { refusal } = await refusedStart({ ...rest, preload: [moduleFile(source)] });
    expect(refusal.code).toBe('ERR_PRELOAD_FAILED');
    expect(refusal.message).toMatch(words);
  });

  test('one that comes too late is told so', async () => {
    const source = `export function init(server) {
      server.registerBackgroundWorker({
        name: 'late',
        restartTime: 'never',
        main: () => server.registerStartupProcess(() => {}),
      });
    }`;
    const postmaster = await startPostmaster({ preload: [moduleFile(source)] });
    await postmaster.logged(/"late" failed: the startup process is registered in init\(\)/);
    await postmaster.stop();
  });
});
