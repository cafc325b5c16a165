// A worker that scribbles over all of shared memory cannot crash or hang the postmaster, nor keep
// it from a clean crash cycle, stop and next start.
//
//     SCRIBBLE_SEED=42 npx vitest run test/process/scribble.test.ts     one seed again

import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { expect, test } from 'vitest';
import { type Scribbling, SEED_BYTES } from '../fixtures/shared/scribbler.ts';
import {
  moduleFile,
  type PostmasterProgram,
  type Setting,
  startPostmaster,
  temporaryDirectory,
} from '../harness/postmaster.ts';

const ONLY = process.env.SCRIBBLE_SEED;
const SEEDS = ONLY === undefined ? range(1, 1000) : [Number(ONLY)];
const FEW_SEEDS = ONLY === undefined ? range(2001, 12) : [Number(ONLY)];
/** An idle machine needs a tenth of it; this one is shared. */
const WITHIN_MS = 300_000;

const SCRIBBLER = fileURLToPath(
  new URL('../../dist-programs/test/fixtures/shared/scribbler.js', import.meta.url),
);

function range(first: number, count: number): number[] {
  return Array.from({ length: count }, (_, index) => first + index);
}

async function startScribbling(
  seeds: readonly number[],
  scribbling: Omit<Scribbling, 'seedFile'> = {},
  setting: Setting = {},
): Promise<PostmasterProgram> {
  const seedFile = join(temporaryDirectory(), 'seeds');
  writeFileSync(seedFile, seeds.map((seed) => String(seed).padStart(SEED_BYTES)).join(''));
  return startPostmaster({
    maxWorkerProcesses: 8,
    inspectMemory: true,
    log: { level: 'error', format: 'text' },
    ...setting,
    preload: [SCRIBBLER],
    env: { BGWORKER_TEST_SCRIBBLING: JSON.stringify({ ...scribbling, seedFile }) },
  });
}

function scribbled(postmaster: PostmasterProgram): number[] {
  const lines = postmaster.all('say').filter(({ text }) => text === 'scribbles');
  return lines.map(({ value }) => (value as { seed: number }).seed);
}

/** Whatever goes wrong in here, goes wrong after a seed. */
async function naming<T>(postmaster: PostmasterProgram, act: () => Promise<T>): Promise<T> {
  try {
    return await act();
  } catch (error) {
    const seed = scribbled(postmaster).at(-1);
    throw new Error(`seed ${seed}: ${(error as Error).message}`, { cause: error });
  }
}

test(`${SEEDS.length} scribblers, and the postmaster goes on`, { timeout: WITHIN_MS }, async () => {
  const postmaster = await startScribbling(SEEDS);
  await naming(postmaster, async () => {
    await postmaster.heard('scribbler', 'out of seeds', { withinMs: WITHIN_MS });
    expect(postmaster.all('unsound')).toEqual([]);
    expect(scribbled(postmaster)).toEqual(SEEDS);
    expect((await postmaster.workers()).map(({ name }) => name)).toEqual(['scribbler']);
    await postmaster.stop();
  });
  const [inspections] = postmaster.all('inspections');
  expect(inspections?.count).toBeGreaterThan(SEEDS.length);
  expect(await postmaster.exited).toEqual({ code: 0, signal: null });

  const { dataDirectory } = postmaster;
  const again = await startScribbling([], {}, { dataDirectory });
  await again.heard('scribbler', 'out of seeds');
  await again.stop();
});

test('whoever else is attached is ended with the scribbler, and back', {
  timeout: WITHIN_MS,
}, async () => {
  const names = ['holder', 'locked', 'waiting', 'busy'] as const;
  const postmaster = await startScribbling(FEW_SEEDS, { bystanders: names, way: 'SIGKILL' });
  await naming(postmaster, async () => {
    await postmaster.heard('scribbler', 'out of seeds', { withinMs: WITHIN_MS });
    expect(postmaster.all('unsound')).toEqual([]);
    expect(scribbled(postmaster)).toEqual(FEW_SEEDS);
    const after = postmaster.mark();
    process.kill(postmaster.pidOf('scribbler'), 'SIGKILL');
    for (const name of names) await postmaster.heard(name, 'there', { after });
    await postmaster.stop('immediate');
  });
  expect(await postmaster.exited).toEqual({ code: 0, signal: null });
});

test('who does not hear of it is killed after five seconds', async () => {
  const scribbling = { bystanders: ['deaf', 'holder'], way: 'SIGSEGV' } as const;
  const postmaster = await startScribbling([1], scribbling, { log: { level: 'info' } });
  await naming(postmaster, async () => {
    await postmaster.heard('scribbler', 'out of seeds');
    const { how } = await postmaster.exitOf('deaf');
    expect(how).toBe('SIGKILL');
    await postmaster.logged(/issuing SIGKILL to recalcitrant children/);
    await postmaster.stop('immediate');
  });
});

/** The first process of its worker damages something and leaves in order, which is no crash. */
const VANDAL = `
import { existsSync, writeFileSync, writeSync } from 'node:fs';
const { LAUNCH, TRACE, DAMAGE } = process.env;
export function init({ shmem, registerBackgroundWorker }) {
  const { note } = shmem.struct('a note', { note: { bytes: 64 } });
  registerBackgroundWorker({
    name: 'vandal',
    flags: ['SHMEM_ACCESS'],
    restartTime: 0,
    launch: LAUNCH,
    main: (worker) => {
      const area = Buffer.from(note.view().buffer);
      if (existsSync(TRACE)) {
        writeSync(1, JSON.stringify({ kind: 'say', name: 'vandal', pid: process.pid, text: 'whole' }) + '\\n');
        setInterval(() => {}, 1 << 30);
        return new Promise(() => {});
      }
      writeFileSync(TRACE, '');
      // A magic number; or the offset and the sizes behind a name in its entry of the directory.
      const from = area.indexOf(DAMAGE) + (DAMAGE === 'a note' ? 64 : 0);
      area.fill(0xff, from, from + 24);
      process.exit(1);
    },
  });
}`;

test.each([
  ['exec', 'BGWArea', 'code 2', true],
  ['fork', 'BGGWDir', 'code 1', false],
  ['exec', 'BGGWDir', 'code 1', false],
  ['fork', 'a note', 'code 2', true],
  ['exec', 'a note', 'code 2', true],
] as const)(
  'who finds memory damaged at its start crashes, for new memory: %s, %s',
  async (launch, damage, how, cleanDetach) => {
    const trace = join(temporaryDirectory(), 'trace');
    const env = { LAUNCH: launch, DAMAGE: damage, TRACE: trace };
    const postmaster = await startPostmaster({ preload: [moduleFile(VANDAL)], env });
    await postmaster.heard('vandal', 'whole');
    const exits = postmaster.all('exit').map((exit) => [exit.how, exit.cleanDetach]);
    expect(exits).toEqual([
      ['code 1', true],
      [how, cleanDetach],
    ]);
    expect(postmaster.all('crash')).toHaveLength(1);
    await postmaster.stop();
  },
);

test('what stands in the slot of a worker without shared memory says nothing of its exit', async () => {
  const module = moduleFile(`export function init({ shmem, registerBackgroundWorker }) {
    const { all } = shmem.struct('all', { all: { bytes: 64 } });
    registerBackgroundWorker({
      name: 'plain',
      restartTime: 0,
      main: async () => {
        await new Promise((resolve) => setTimeout(resolve, 1));
        throw new Error('exit 1');
      },
    });
    registerBackgroundWorker({
      name: 'armer',
      flags: ['SHMEM_ACCESS'],
      main: () => {
        // The dead-man switches: a word in each slot, behind the header.
        const slots = new Uint32Array(all.view().buffer, 64, 100 * 16);
        for (let slot = 0; slot < 100; slot++) slots[slot * 16 + 4] = 1;
        setInterval(() => {}, 1 << 30);
        return new Promise(() => {});
      },
    });
  }`);
  const postmaster = await startPostmaster({ preload: [module] });
  await postmaster.startOf('armer');
  const exits = await postmaster.count('exit', 20);
  expect(exits.filter(({ cleanDetach }) => !cleanDetach)).toEqual([]);
  await postmaster.stop();
});
