// runParallel(): all results in order, by whoever is free; and whatever goes wrong, the run rejects
// with it, and nothing of it is left: no worker, no slot, no segment.

import { describe, expect, test } from 'vitest';
import { isGone } from '../harness/leftovers.ts';
import { type PostmasterProgram, type Setting, startPostmaster } from '../harness/postmaster.ts';

interface Run {
  readonly function: string;
  readonly workers: number;
  readonly inputs: number;
  readonly [more: string]: unknown;
}

interface Reported {
  readonly value: {
    readonly results?: unknown[];
    readonly launched?: number;
    readonly code?: string;
    readonly message?: string;
    readonly [more: string]: unknown;
  };
  readonly segments: number;
}

function lead(role: string, run: Run, setting: Setting = {}): Promise<PostmasterProgram> {
  return startPostmaster({
    ...setting,
    cast: [
      { name: 'leader', main: role, flags: ['SHMEM_ACCESS'], restartTime: 'never', arg: run },
      ...(setting.cast ?? []),
    ],
  });
}

const numbers = (count: number) => Array.from({ length: count }, (_, i) => i);

async function heard(postmaster: PostmasterProgram, text: string): Promise<Reported> {
  return (await postmaster.heard('leader', text)).value as Reported;
}

/** What it rejected with; and nothing of it is left. */
async function rejection(postmaster: PostmasterProgram): Promise<Reported['value']> {
  const { value, segments } = await heard(postmaster, 'rejected');
  expect(segments).toBe(0);
  await onlyTheLeader(postmaster);
  return value;
}

async function onlyTheLeader(postmaster: PostmasterProgram): Promise<void> {
  expect((await postmaster.workers()).map(({ name }) => name)).toEqual(['leader']);
}

describe('results', () => {
  test.each([
    { workers: 1, inputs: 0 },
    { workers: 3, inputs: 1 },
    { workers: 1, inputs: 20 },
    { workers: 4, inputs: 500 },
    { workers: 4, inputs: 500, prefetch: 8 },
    { workers: 2, inputs: 5, launch: 'exec' },
  ])('%j', async (run) => {
    const postmaster = await lead('leadAll', { function: 'square', ...run });
    const { value, segments } = await heard(postmaster, 'results');
    expect(value).toEqual({
      results: numbers(run.inputs).map((n) => n * n),
      launched: run.workers,
    });
    expect(segments).toBe(0);
    await onlyTheLeader(postmaster);
    for (const { how, cleanDetach } of postmaster.all('exit')) {
      expect({ how, cleanDetach }).toEqual({ how: 'code 0', cleanDetach: true });
    }
    await postmaster.stop();
  });

  test('come in the order of the inputs, whoever is how fast', async () => {
    const postmaster = await lead('leadAll', { function: 'uneven', workers: 4, inputs: 60 });
    expect((await heard(postmaster, 'results')).value.results).toEqual(numbers(60));
    await postmaster.stop();
  });

  test('one input that takes long holds up nobody else', async () => {
    const postmaster = await lead('leadAll', { function: 'heldUp', workers: 2, inputs: 6 });
    const { pid } = await postmaster.until('say', ({ text }) => text === 'held up');
    // The others are done meanwhile, all by the other worker. Then it may go on.
    await postmaster.count('say', 5, ({ text }) => text === 'done');
    process.kill(pid, 'SIGUSR2');
    const { results = [] } = (await heard(postmaster, 'results')).value;
    expect(results[0]).toBe(pid);
    expect(new Set(results.slice(1)).size).toBe(1);
    expect(results.slice(1)).not.toContain(pid);
    await postmaster.stop();
  });

  test('values larger than the queues, in both directions', async () => {
    const run = { function: 'reverse', workers: 3, inputs: 12, queueBytes: 4_096 };
    const postmaster = await lead('leadBytes', run);
    expect((await heard(postmaster, 'results')).value).toEqual({ right: 12, of: 12 });
    await postmaster.stop();
  });

  test('each worker is one of the class, and is given the argument', async () => {
    const arg = { schema: 'schema1' };
    const run = { function: 'describe', workers: 2, inputs: 4, arg };
    const postmaster = await lead('leadAll', run);
    const { results = [] } = (await heard(postmaster, 'results')).value;
    expect(results).toHaveLength(4);
    for (const [input, result] of results.entries()) {
      expect(result).toMatchObject({
        input,
        arg,
        name: expect.stringMatching(/^parallel worker [01] of leader$/),
        type: 'parallel worker',
        flags: ['SHMEM_ACCESS', 'CLASS_PARALLEL'],
      });
    }
    await postmaster.stop();
  });

  test('two runs at once, and another one after them', async () => {
    const postmaster = await lead('leadTwo', { function: 'square', workers: 2, inputs: 30 });
    const squares = numbers(30).map((n) => n * n);
    expect((await heard(postmaster, 'results')).value.results).toEqual([squares, squares, squares]);
    await postmaster.stop();
  });
});

describe('backpressure', () => {
  test('a slow consumer keeps the source from being asked', async () => {
    const postmaster = await lead('leadSlowly', { function: 'square', workers: 2, inputs: 100 });
    const { value } = await heard(postmaster, 'results');
    expect(value.consumed).toBe(100);
    // Four times what the workers hold at once, and the one that was just asked for.
    expect(value.most).toBeLessThanOrEqual(2 * 4 + 1);
    await postmaster.stop();
  });

  test('who leaves the loop ends the run', async () => {
    const postmaster = await lead('leadAndLeave', { function: 'square', workers: 2, inputs: 0 });
    const { value, segments } = await heard(postmaster, 'left');
    expect(value).toEqual({ seen: [0, 1, 4], isReturned: true });
    expect(segments).toBe(0);
    await onlyTheLeader(postmaster);
    await postmaster.stop();
  });
});

describe('a worker', () => {
  test('that throws: the run rejects with it', async () => {
    const arg = { at: 7 };
    const postmaster = await lead('leadAll', { function: 'throwOn', workers: 3, inputs: 100, arg });
    expect(await rejection(postmaster)).toEqual({
      code: 'ERR_PARALLEL_FAILED',
      message: expect.stringMatching(/^parallel worker \d of leader failed on input 7: no 7$/),
      cause: { name: 'RangeError', message: 'no 7' },
    });
    expect(postmaster.all('crash')).toEqual([]);
    await postmaster.stop();
  });

  test.each([
    ['throwOddity', /failed on input 0: a text$/],
    ['throwUncloneable', /failed on input 0: holds a function$/],
    ['returnUncloneable', /failed on input 0: .*could not be cloned/],
  ])('%s', async (name, message) => {
    const postmaster = await lead('leadAll', { function: name, workers: 1, inputs: 3 });
    expect(await rejection(postmaster)).toMatchObject({
      code: 'ERR_PARALLEL_FAILED',
      message: expect.stringMatching(message),
    });
    await postmaster.stop();
  });

  test.each([
    [0, 'exited with exit code 0'],
    [1, 'exited with exit code 1'],
  ])('that leaves early with exit code %i', async (code, how) => {
    const arg = { at: 5, code };
    const postmaster = await lead('leadAll', { function: 'exitOn', workers: 3, inputs: 100, arg });
    expect(await rejection(postmaster)).toMatchObject({
      code: 'ERR_PARALLEL_FAILED',
      message: expect.stringMatching(
        new RegExp(`^parallel worker \\d of leader ${how} before its work was done$`),
      ),
    });
    await postmaster.stop();
  });

  test('that is ended by SIGTERM', async () => {
    const arg = { at: 5, signal: 'SIGTERM' };
    const postmaster = await lead('leadAll', { function: 'killOn', workers: 2, inputs: 50, arg });
    expect((await rejection(postmaster)).message).toMatch(/exited with exit code 1 before/);
    await postmaster.stop();
  });

  test('that is killed: a crash cycle, which takes the leader along', async () => {
    const arg = { at: 5, signal: 'SIGKILL' };
    const run = { function: 'killOn', workers: 3, inputs: 50, arg };
    const postmaster = await lead('leadAll', run, {
      cast: [
        { name: 'apart', main: 'idle' },
        { name: 'again', main: 'idle', flags: ['SHMEM_ACCESS'] },
      ],
    });
    await postmaster.until('crash');
    await postmaster.exitOf('leader');
    // Who is started again is so after everybody else was forgotten.
    await postmaster.count('start', 2, ({ name }) => name === 'again');
    // The rest was 'never': left are who had no part in it, and who may start again.
    expect((await postmaster.workers()).map(({ name }) => name)).toEqual(['apart', 'again']);
    await postmaster.stop();
  });

  test('whose function is not there', async () => {
    const postmaster = await lead('leadAll', { function: 'nothing', workers: 2, inputs: 5 });
    expect((await rejection(postmaster)).message).toMatch(/failed: .*has no function "nothing"/);
    await postmaster.stop();
  });

  test('whose module is not there', async () => {
    const run = { function: 'main', module: '/nowhere.js', workers: 2, inputs: 5 };
    const postmaster = await lead('leadAll', run);
    expect((await rejection(postmaster)).code).toBe('ERR_PARALLEL_FAILED');
    await postmaster.stop();
  });
});

describe('no room for all of them', () => {
  test('fewer workers do it, as in a parallel query', async () => {
    const run = { function: 'square', workers: 8, inputs: 40 };
    const postmaster = await lead('leadAll', run, { maxParallelWorkers: 3 });
    const { value } = await heard(postmaster, 'results');
    expect(value).toEqual({ results: numbers(40).map((n) => n * n), launched: 3 });
    await postmaster.stop();
  });

  test('the slots of all workers count, too', async () => {
    const run = { function: 'square', workers: 8, inputs: 40 };
    const postmaster = await lead('leadAll', run, { maxWorkerProcesses: 3 });
    expect((await heard(postmaster, 'results')).value.launched).toBe(2);
    await postmaster.stop();
  });

  test.each([
    [{ maxParallelWorkers: 0 }, /maxParallelWorkers$/],
    [{ maxWorkerProcesses: 1 }, /maxWorkerProcesses$/],
  ])('none at all: %j', async (setting, message) => {
    const run = { function: 'square', workers: 2, inputs: 5 };
    const postmaster = await lead('leadAll', run, setting);
    expect(await rejection(postmaster)).toMatchObject({
      code: 'ERR_TOO_MANY_WORKERS',
      message: expect.stringMatching(message),
    });
    await postmaster.stop();
  });
});

describe('an end from outside', () => {
  test('an abort ends workers that would stay', async () => {
    const postmaster = await lead('leadAndAbort', { function: 'stay', workers: 2, inputs: 5 });
    const staying = await postmaster.count('say', 2, ({ text }) => text === 'staying');
    process.kill(postmaster.pidOf('leader'), 'SIGUSR2');
    expect(await rejection(postmaster)).toMatchObject({ message: 'enough' });
    for (const { pid } of staying) expect(isGone(pid)).toBe(true);
    await postmaster.stop();
  });

  test('an abort is seen by a worker that looks at its signal', async () => {
    const postmaster = await lead('leadAndAbort', { function: 'heed', workers: 1, inputs: 1 });
    await postmaster.until('say', ({ text }) => text === 'heeding');
    process.kill(postmaster.pidOf('leader'), 'SIGUSR2');
    await postmaster.until('say', ({ text }) => text === 'heeded');
    expect(await rejection(postmaster)).toMatchObject({ message: 'enough' });
    await postmaster.stop();
  });

  test('the leader fails: its workers leave, without being told by anybody', async () => {
    const postmaster = await lead('leadAndFail', {
      function: 'uneven',
      workers: 3,
      inputs: 100_000,
    });
    await postmaster.count('start', 4);
    process.kill(postmaster.pidOf('leader'), 'SIGUSR2');
    await postmaster.exitOf('leader');
    const exits = await postmaster.count('exit', 4);
    for (const { name, how } of exits) expect(how).toBe(name === 'leader' ? 'code 1' : 'code 0');
    expect(await postmaster.workers()).toEqual([]);
    expect(postmaster.all('crash')).toEqual([]);
    await postmaster.stop();
  });

  test('a shutdown ends all of it', async () => {
    const postmaster = await lead('leadAll', { function: 'uneven', workers: 3, inputs: 100_000 });
    await postmaster.count('start', 4);
    await postmaster.stop('fast');
  });
});

test('what is refused before anything is started', async () => {
  const postmaster = await lead('leadBadly', { function: '', workers: 1, inputs: 0 });
  const { value } = await postmaster.heard('leader', 'refusals');
  expect(value).toEqual(Array(9).fill('ERR_INVALID_OPTION'));
  await postmaster.exitOf('leader');
  expect(postmaster.all('start').map(({ name }) => name)).toEqual(['leader']);
  await postmaster.stop();
});
