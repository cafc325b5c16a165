// start.ts: builds exchange.c, and runs it beside a worker in TypeScript until both are done.
//
//     npm run compile && node dist-programs/examples/native-worker/start.js
//
// It needs a C compiler, as `cc`. In an application the library is built once, beforehand.

import { execFileSync } from 'node:child_process';
import { mkdtempSync } from 'node:fs';
import { rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { Postmaster } from 'bgworker';

/** From dist-programs/examples/native-worker/, where this file runs. */
const ROOT = new URL('../../../', import.meta.url);

const directory = mkdtempSync(join(tmpdir(), 'bgworker-exchange-'));
try {
  await run(directory);
} finally {
  await rm(directory, { recursive: true });
}

async function run(directory: string): Promise<void> {
  process.env.EXCHANGE_LIBRARY = build(directory); // The workers inherit the environment.
  await using postmaster = new Postmaster({
    dataDirectory: join(directory, 'data'),
    preload: [new URL('./workers.js', import.meta.url)],
    maxWorkerProcesses: 2,
  });
  let running = 2;
  const done = new Promise<void>((resolve) => {
    postmaster.on('exit', ({ name }, { cause }) => {
      if (cause.kind !== 'code' || cause.code !== 0) process.exitCode = 1;
      process.stdout.write(`${name} has ended: ${JSON.stringify(cause)}\n`);
      running -= 1;
      if (running === 0) resolve();
    });
  });
  await postmaster.start();
  await done;
}

function build(directory: string): string {
  const library = join(directory, 'exchange.so');
  const path = (relative: string) => fileURLToPath(new URL(relative, ROOT));
  const source = path('examples/native-worker/exchange.c');
  const include = path('native/include');
  execFileSync('cc', ['-shared', '-fPIC', '-O2', '-I', include, '-o', library, source]);
  return library;
}
