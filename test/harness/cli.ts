// cli.ts: the program `bgworker` in a directory of its own, and what it must not leave behind.
//
// Every process that comes of it carries the sandbox's mark, and its TMPDIR is in the sandbox. When
// the test is over, nothing may run and nothing may lie in TMPDIR; what does is first killed, so
// that one failure is not the next one's, too.

import { type ChildProcess, execFileSync, spawn } from 'node:child_process';
import { randomUUID } from 'node:crypto';
import { once } from 'node:events';
import {
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  realpathSync,
  rmSync,
  watch,
  writeFileSync,
} from 'node:fs';
import { type FileHandle, open } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { expect, onTestFailed, onTestFinished } from 'vitest';
import { MARK, marked, sharedMemory } from './leftovers.ts';

const PROGRAM = fileURLToPath(new URL('../../dist/bundle/cli.js', import.meta.url));

/** Generous, because the machine is shared. */
const PATIENCE_MS = 15_000;

/** How long a tree of processes may take to go when its postmaster was killed. */
const DEATH_MS = 1_000;

export interface Result {
  readonly status: number | null;
  readonly signal: NodeJS.Signals | null;
  readonly stdout: string;
  readonly stderr: string;
}

export interface RunOptions {
  readonly env?: NodeJS.ProcessEnv;
  readonly uid?: number;
}

/** A program under way. */
export class Running {
  readonly process: ChildProcess;
  readonly ended: Promise<Result>;
  stdout = '';
  stderr = '';
  readonly #waiters = new Set<() => void>();

  constructor(child: ChildProcess) {
    this.process = child;
    child.stdout?.setEncoding('utf8').on('data', (text) => {
      this.stdout += text;
      for (const look of this.#waiters) look();
    });
    child.stderr?.setEncoding('utf8').on('data', (text) => {
      this.stderr += text;
      for (const look of this.#waiters) look();
    });
    this.ended = once(child, 'close').then(([status, signal]) => {
      const { stdout, stderr } = this;
      return { status, signal, stdout, stderr };
    });
  }

  /** Resolves when it has said that, on either stream. */
  async says(text: string): Promise<void> {
    const { promise, resolve } = withResolvers();
    const look = () => {
      if (this.stdout.includes(text) || this.stderr.includes(text)) resolve();
    };
    this.#waiters.add(look);
    look();
    const ended = this.ended.then(() => {
      look();
      throw new Error(`ended without saying "${text}"`);
    });
    await orTooLate(Promise.race([promise, ended]), `"${text}"`);
    this.#waiters.delete(look);
  }
}

export class Sandbox {
  readonly id = randomUUID();
  readonly directory = realpathSync(mkdtempSync(join(tmpdir(), 'bgworker-cli-')));
  readonly data = join(this.directory, 'data');
  readonly log = join(this.data, 'bgworker.log');
  readonly lockFile = join(this.data, 'postmaster.pid');
  readonly #temporary = join(this.directory, 'tmp');
  readonly #memoryBefore = sharedMemory();
  readonly #said: string[] = [];

  constructor() {
    mkdirSync(this.#temporary);
    onTestFailed(() => console.error(this.#story()));
    onTestFinished(() => this.#cleanUp());
  }

  /** Writes a file into the working directory of the programs and gives its path. */
  file(name: string, text: string): string {
    const path = join(this.directory, name);
    writeFileSync(path, text);
    return path;
  }

  /** bgworker.config.mjs with these preload modules out of test/fixtures/cli. */
  config(options: {
    readonly preload?: readonly string[];
    readonly [name: string]: unknown;
  }): void {
    const preload = (options.preload ?? []).map((name) => fixturePath(name));
    const text = `export default ${JSON.stringify({ ...options, preload })};\n`;
    this.file('bgworker.config.mjs', text);
  }

  start(args: readonly string[], options: RunOptions = {}): Running {
    return this.node([PROGRAM, ...args], options);
  }

  node(args: readonly string[], { env, uid }: RunOptions = {}): Running {
    const child = spawn(process.execPath, args, {
      cwd: this.directory,
      stdio: 'pipe',
      env: this.#environment(env),
      ...(uid !== undefined && { uid, gid: uid, cwd: '/' }),
    });
    const running = new Running(child);
    void running.ended.then(({ status, signal, stdout, stderr }) => {
      this.#said.push(`$ ${args.join(' ')}\n${stdout}${stderr}(${signal ?? status})`);
    });
    return running;
  }

  /** The whole of one command, to its end. */
  run(...args: string[]): Promise<Result> {
    return this.runWith({}, ...args);
  }

  async runWith(options: RunOptions, ...args: string[]): Promise<Result> {
    return orTooLate(this.start(args, options).ended, `the end of "bgworker ${args.join(' ')}"`);
  }

  /** Resolves when the file has that in it. */
  async says(text: string, file: string = this.log): Promise<void> {
    const { promise, resolve } = withResolvers();
    const look = () => {
      if (existsSync(file) && readFileSync(file, 'utf8').includes(text)) resolve();
    };
    const watcher = watch(existsSync(file) ? file : join(file, '..'), look);
    look();
    try {
      await orTooLate(promise, `"${text}" in ${file}`);
    } finally {
      watcher.close();
    }
  }

  /** Resolves when the file is there and has something in it. */
  appears(file: string): Promise<void> {
    return this.says('\n', file);
  }

  get postmasterPid(): number {
    return Number.parseInt(readFileSync(this.lockFile, 'utf8'), 10);
  }

  /** A named pipe; see test/fixtures/cli/gated.mjs. */
  gate(): { readonly path: string; reached(): Promise<FileHandle> } {
    const path = join(this.directory, 'gate');
    execFileSync('mkfifo', [path]);
    return { path, reached: () => orTooLate(open(path, 'w'), 'the gate') };
  }

  /** Nothing tells of the end of a process that is nobody's child here, so it is looked for. */
  async nothingRuns(): Promise<void> {
    const deadline = performance.now() + DEATH_MS;
    while (marked(this.id).length > 0 && performance.now() < deadline) await delay(10);
    expect(marked(this.id)).toEqual([]);
  }

  async #cleanUp(): Promise<void> {
    try {
      await this.nothingRuns();
      expect(readdirSync(this.#temporary)).toEqual([]);
      expect(sharedMemory()).toEqual(this.#memoryBefore);
    } finally {
      for (const { pid } of marked(this.id)) killIfThere(pid);
      rmSync(this.directory, { recursive: true, force: true });
    }
  }

  #environment(env: NodeJS.ProcessEnv = {}): NodeJS.ProcessEnv {
    const { BGWORKER_DATA, BGWORKER_DEBUG, NODE_ENV, NODE_OPTIONS, ...base } = process.env;
    const ours = { [MARK]: this.id, TMPDIR: this.#temporary, JITI_FS_CACHE: 'false' };
    return { ...base, ...ours, ...env };
  }

  #story(): string {
    const log = existsSync(this.log) ? readFileSync(this.log, 'utf8') : '(no log)';
    return [...this.#said, `--- ${this.log}`, log].join('\n');
  }
}

/** It may have ended since we looked: its parent was killed just before it. */
function killIfThere(pid: number): void {
  try {
    process.kill(pid, 'SIGKILL');
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'ESRCH') throw error;
  }
}

export function fixturePath(name: string): string {
  return fileURLToPath(new URL(`../fixtures/cli/${name}`, import.meta.url));
}

function withResolvers(): { readonly promise: Promise<void>; readonly resolve: () => void } {
  let resolve = () => {};
  const promise = new Promise<void>((settle) => {
    resolve = settle;
  });
  return { promise, resolve };
}

async function orTooLate<T>(promise: Promise<T>, what: string): Promise<T> {
  const patience = new AbortController();
  const late = delay(PATIENCE_MS, null, { signal: patience.signal }).then(() => {
    throw new Error(`waited ${PATIENCE_MS} ms for ${what}`);
  });
  late.catch(() => {});
  try {
    return await Promise.race([promise, late]);
  } finally {
    patience.abort();
  }
}
