// The sample as a user starts it, with its output in a pipe: what it shows, that its totals are
// right, that it takes a no for its bad arguments, and that nothing of it is left.

import { type ChildProcess, spawn } from 'node:child_process';
import { randomUUID } from 'node:crypto';
import { once } from 'node:events';
import { chmodSync, mkdtempSync, readdirSync, readlinkSync, realpathSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { text } from 'node:stream/consumers';
import { fileURLToPath } from 'node:url';
import { beforeEach, expect, onTestFailed, onTestFinished, test, vi } from 'vitest';
import { MARK, marked, sharedMemory } from '../harness/leftovers.ts';

const PROGRAM = fileURLToPath(
  new URL('../../dist-programs/examples/worker-spi/start.js', import.meta.url),
);

vi.setConfig({ testTimeout: 60_000 });

/** Its only place for files: what it leaves behind is found there. */
let temporary: string;
let memoryBefore: string[];

beforeEach(() => {
  temporary = realpathSync(mkdtempSync(join(tmpdir(), 'bgworker-sample-')));
  chmodSync(temporary, 0o755); // A server of a root postmaster has another user.
  memoryBefore = sharedMemory();
  onTestFinished(() => rmSync(temporary, { recursive: true, force: true }));
});

interface Sample {
  readonly child: ChildProcess;
  readonly id: string;
  /** What it has written so far, both streams. */
  readonly said: () => string;
  readonly ended: Promise<{ status: number | null; stdout: string; stderr: string }>;
}

function start(args: readonly string[], env: NodeJS.ProcessEnv = {}): Sample {
  const id = randomUUID();
  const child = spawn(process.execPath, [PROGRAM, ...args], {
    stdio: ['ignore', 'pipe', 'pipe'],
    env: { ...process.env, ...env, TMPDIR: temporary, [MARK]: id },
  });
  let said = '';
  for (const stream of [child.stdout, child.stderr]) {
    stream.on('data', (data) => {
      said += data;
    });
  }
  onTestFailed(() => console.error(said));
  onTestFinished(() => {
    child.kill('SIGKILL');
  });
  const ended = Promise.all([text(child.stdout), text(child.stderr), once(child, 'exit')]).then(
    ([stdout, stderr, [status]]) => ({ status, stdout, stderr }),
  );
  return { child, id, said: () => said, ended };
}

async function until(sample: Sample, pattern: RegExp): Promise<void> {
  await vi.waitFor(() => expect(sample.said()).toMatch(pattern), { timeout: 20_000, interval: 20 });
}

function expectNothingLeft({ id }: Sample): void {
  expect(marked(id)).toEqual([]);
  // The server has an environment of its own, but its processes live in its data directory.
  expect(processesIn(temporary)).toEqual([]);
  expect(readdirSync(temporary)).toEqual([]);
  expect(sharedMemory().filter((name) => !memoryBefore.includes(name))).toEqual([]);
}

function processesIn(directory: string): string[] {
  return readdirSync('/proc').filter((pid) => {
    try {
      return /^\d+$/.test(pid) && readlinkSync(`/proc/${pid}/cwd`).startsWith(directory);
    } catch {
      return false; // It went between two looks.
    }
  });
}

test('shows phases, starts, a restart and totals that are right, and ends by itself', async () => {
  const sample = start(['--for', '6']);
  const { status, stdout, stderr } = await sample.ended;
  expect(status).toBe(0);
  expectNothingLeft(sample);

  const phases = [...stdout.matchAll(/phase (\w+)/g)].map(([, phase]) => phase);
  expect(phases[0]).toBe('INIT');
  expect(phases).toContain('RUN');
  expect(phases.slice(-4)).toEqual([
    'STOP_BACKENDS',
    'WAIT_BACKENDS',
    'WAIT_XLOG_SHUTDOWN',
    'NO_CHILDREN',
  ]);
  expect(stdout).toMatch(/worker_spi 1 started, pid \d+/);
  expect(stdout).toMatch(/worker_spi 2 started, pid \d+/);
  expect(stdout).toMatch(
    /worker_spi 1 \(pid \d+\) left with exit code 1, will be restarted in 1 s/,
  );
  expect(stdout).toMatch(/worker_spi 1 restarted, pid \d+/);
  expect(stdout).toMatch(/an administrator launches worker_spi dynamic 1, pid \d+/);
  expect(stdout).toMatch(/totals read back: worker_spi 1: \d+, worker_spi 2: \d+/);
  expect(stdout).toMatch(/Everything is stopped/);

  const totals = [...stdout.matchAll(/(worker_spi .*\d): (\d+) inserted, total (\d+)/g)];
  const names = ['worker_spi 1', 'worker_spi 2', 'worker_spi dynamic 1'];
  expect(totals.map(([, worker]) => worker)).toEqual(names);
  for (const [, , inserted, total] of totals) {
    expect(Number(total)).toBeGreaterThan(0);
    expect(total).toBe(inserted);
  }
  // The workers' own words: the naptime was read again on SIGHUP, by each of them.
  for (const worker of ['worker_spi 1', 'worker_spi 2']) {
    expect(stderr).toMatch(new RegExp(`${worker}/\\d+\\): naptime is now 0.5 s`));
  }
});

test.each(['SIGINT', 'SIGTERM'] as const)('%s is a fast shutdown', async (signal) => {
  const sample = start([], { WORKER_SPI_TOTAL_WORKERS: '3' });
  await until(sample, /worker_spi 3 started/);
  sample.child.kill(signal);
  sample.child.kill(signal); // npm passes the terminal's Ctrl-C on, so it comes twice.
  const { status, stdout, stderr } = await sample.ended;
  expect(status).toBe(0);
  expect(stderr).toMatch(/received fast shutdown request/);
  expect(stdout).toMatch(/Shown: 3 workers/);
  expectNothingLeft(sample);
});

test('a signal before it is ready stops what was started', async () => {
  const sample = start([]);
  await until(sample, /phase STARTUP/);
  sample.child.kill('SIGINT');
  const { status, stdout } = await sample.ended;
  expect(status).toBe(0);
  expect(stdout).not.toMatch(/phase RUN/);
  expectNothingLeft(sample);
});

test('a start that fails says why', async () => {
  const sample = start([], { BGWORKER_POSTGRES_BIN: '/no/such/place' });
  const { status, stdout, stderr } = await sample.ended;
  expect(status).toBe(1);
  expect(stdout).not.toMatch(/phase RUN/);
  expect(stderr).toMatch(/^worker_spi: found no PostgreSQL server to run/m);
  expectNothingLeft(sample);
});

test('data that is kept is found again', async () => {
  const data = join(temporary, 'data');
  for (const found of [false, true]) {
    const { status, stdout } = await start(['--for', '1', '--data', data]).ended;
    expect(status).toBe(0);
    expect(/worker_spi 1: \d+ found \+ \d+ inserted/.test(stdout)).toBe(found);
    expect(stdout).toMatch(/the data is kept/);
  }
});

test.each([
  [['--for', 'soon'], {}, '--for must be a number of seconds above 0 and up to 86400, got "soon"'],
  [['--for', '0'], {}, 'got "0"'],
  [['--for'], {}, '--for'],
  [['--far', '3'], {}, '--far'],
  [['extra'], {}, 'extra'],
  [['--data', '/no/such/place'], {}, '/no/such/place'],
  [[], { WORKER_SPI_TOTAL_WORKERS: '0' }, 'WORKER_SPI_TOTAL_WORKERS must be a whole number'],
])('%j %j is refused', async (args, env, sentence) => {
  const sample = start(args, env);
  const { status, stdout, stderr } = await sample.ended;
  expect(status).toBe(1);
  expect(stdout).toBe('');
  expect(stderr).toMatch(/^worker_spi: /);
  expect(stderr).toContain(sentence);
  expectNothingLeft(sample);
});
