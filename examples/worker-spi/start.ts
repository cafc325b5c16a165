// start.ts: the program of `npm start`.
//
// A postmaster with an embedded PostgreSQL server runs the workers of workers.ts, and play.ts keeps
// them busy until there is enough: the time of --for is over, or somebody pressed Ctrl-C.

import { existsSync, mkdirSync, mkdtempSync } from 'node:fs';
import { rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Postmaster } from 'bgworker';
import { type Options, parseOptions, USAGE } from './options.ts';
import { play } from './play.ts';
import { createScreen } from './screen.ts';
import { type Place, places, writeSettings } from './settings.ts';
import { Story } from './story.ts';

try {
  const options = parseOptions(process.argv.slice(2));
  if (options === 'help') process.stdout.write(USAGE);
  else await start(options, places());
} catch (error) {
  process.stderr.write(`worker_spi: ${(error as Error).message}\n`);
  process.exitCode = 1;
}

async function start({ seconds, dataDirectory }: Options, places: readonly Place[]): Promise<void> {
  const enough = new AbortController();
  for (const signal of ['SIGINT', 'SIGTERM']) process.on(signal, () => enough.abort());

  const directory = dataDirectory ?? mkdtempSync(join(tmpdir(), 'bgworker-worker-spi-'));
  try {
    await run({ directory, places, seconds, enough });
  } finally {
    if (dataDirectory === null) await rm(directory, { recursive: true });
  }
  const left = dataDirectory === null ? 'the temporary directory is removed' : 'the data is kept';
  process.stdout.write(`Everything is stopped; ${left}.\n`);
}

interface Run {
  readonly directory: string;
  readonly places: readonly Place[];
  readonly seconds: number | null;
  readonly enough: AbortController;
}

async function run({ directory, places, seconds, enough }: Run): Promise<void> {
  if (!existsSync(directory)) mkdirSync(directory, { mode: 0o700 });
  const settings = join(directory, 'worker_spi.json');
  writeSettings(settings, { naptime: 1 });
  process.env.WORKER_SPI_SETTINGS = settings; // The workers inherit the environment.

  await using postmaster = new Postmaster({
    dataDirectory: directory,
    preload: [new URL('./workers.js', import.meta.url)],
    postgres: { embedded: true },
    maxWorkerProcesses: places.length + 1, // the last one is for who is launched meanwhile
    // On a terminal the table says it all, and log lines in between would tear it.
    log: { level: process.stdout.isTTY && process.stderr.isTTY ? 'silent' : 'info' },
  });
  const story = new Story(postmaster, createScreen(process.stdout));
  try {
    await postmaster.start({ signal: enough.signal });
  } catch (error) {
    if (!enough.signal.aborted) throw error;
    return; // Ctrl-C came first, and what was started is stopped again already.
  }
  postmaster.on('finish', () => enough.abort());
  if (seconds !== null) setTimeout(() => enough.abort(), seconds * 1000).unref();
  const isRight = await play({ postmaster, places: [...places], settings, story }, enough.signal);
  await postmaster.stop('fast');
  process.stdout.write(summarize(story));
  if (!isRight) throw new Error('a total is not what was inserted');
}

function summarize({ tallies }: Story): string {
  let starts = 0;
  let restarts = 0;
  const lines: string[] = [];
  for (const [worker, tally] of tallies) {
    starts += tally.starts;
    restarts += Math.max(0, tally.starts - 1);
    const found = tally.before === 0 ? '' : `${tally.before} found + `;
    lines.push(`  ${worker}: ${found}${tally.inserted} inserted, total ${tally.total}\n`);
  }
  const head = `${tallies.size} workers, ${starts} starts, ${restarts} of them restarts`;
  return `\nShown: ${head}; totals read back from the database:\n${lines.join('')}`;
}
