// soak.ts: a program with nothing but a Postmaster in it, whose own memory and descriptors are looked
// at while it has short dynamic workers come and go. Asked for so many, it answers with what it saw.

import { mkdtempSync, readdirSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import { Postmaster } from 'bgworker';
import { LANES, SOAK } from './soak-driver.ts';

export interface Soaked {
  /** Resident, without garbage, from the first tenth of the workers on to the last; in MB. */
  readonly growthMb: number;
  readonly descriptorsMore: number;
  readonly slotsLeft: number;
  readonly perSecond: number;
}

/** What grows only at the beginning has grown by then: a tenth. */
const SETTLED_SHARE = 10;

setFlagsFromString('--expose-gc');
const collect = runInNewContext('gc') as () => void;

function residentMb(): number {
  collect();
  return process.memoryUsage.rss() / 2 ** 20;
}

async function soak(count: number): Promise<Soaked> {
  const scratch = mkdtempSync(join(tmpdir(), 'bgworker-bench-'));
  process.env[SOAK] = String(count);
  const postmaster = new Postmaster({
    dataDirectory: join(scratch, 'data'),
    preload: [new URL('./soak-driver.js', import.meta.url)],
    maxWorkerProcesses: LANES + 1,
    log: { level: 'warn' },
  });
  try {
    return await watch(postmaster, count);
  } finally {
    await postmaster.stop('fast');
    rmSync(scratch, { recursive: true, force: true });
  }
}

async function watch(postmaster: Postmaster, count: number): Promise<Soaked> {
  const descriptors = () => readdirSync('/proc/self/fd').length;
  let settledMb = 0;
  let exits = 0;
  const done = new Promise<void>((resolve, reject) => {
    postmaster.on('exit', ({ name }, { cause }) => {
      if (name === 'driver') {
        if (cause.kind === 'code' && cause.code === 0) resolve();
        else reject(new Error('the driver failed'));
        return;
      }
      exits++;
      if (exits === Math.floor(count / SETTLED_SHARE)) settledMb = residentMb();
    });
  });
  const startedAt = performance.now();
  await postmaster.start();
  const descriptorsBefore = descriptors();
  await done;
  const perSecond = exits / ((performance.now() - startedAt) / 1000);
  // The last ones are forgotten in the turns after their exits.
  while (postmaster.workers().some(({ standing }) => standing === 'gone')) {
    await new Promise((resolve) => setImmediate(resolve));
  }
  return {
    growthMb: residentMb() - settledMb,
    descriptorsMore: descriptors() - descriptorsBefore,
    slotsLeft: postmaster.workers().length,
    perSecond,
  };
}

process.on('message', (count: number) => {
  soak(count).then(
    (soaked) => process.send?.(soaked),
    (error: unknown) => {
      console.error(error);
      process.exit(1);
    },
  );
});
process.on('disconnect', () => process.exit(0));
