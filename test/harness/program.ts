// program.ts: a fixture program, seen from the test: its lines, its end, what it leaves behind.
//
// A test says what it waits for and for how long (until), and meets the program there; it never
// sleeps. When a test fails, it shows all that the program said. After each test nothing of the
// program may be left, and a program that still runs is killed for that: the tree must then go by
// itself.

import { type ChildProcess, spawn } from 'node:child_process';
import { randomUUID } from 'node:crypto';
import { createInterface } from 'node:readline';
import { setTimeout as delay } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { onTestFailed, onTestFinished } from 'vitest';
import type { Command, Line } from '../fixtures/process/script.ts';
import { MARK, marked, type Stray, sharedMemory } from './leftovers.ts';

const PROGRAMS = new URL('../../dist-programs/test/fixtures/process/', import.meta.url);

/** Generous, because the machine is shared; what is measured says its own limit. */
export const PATIENCE_MS = 15_000;

/** "No process is left within a second" (architecture, supervisor death). */
export const DEATH_MS = 1_000;

export type Kind = Line['kind'];
export type Of<K extends Kind> = Extract<Line, { kind: K }>;

export interface UntilOptions {
  readonly withinMs?: number;
  /** Only lines from this one on count; see mark(). */
  readonly after?: number;
}

interface Waiter {
  look(): void;
}

export interface ProgramEnd {
  readonly code: number | null;
  readonly signal: NodeJS.Signals | null;
}

export function fixture(name: string): string {
  return fileURLToPath(new URL(name, PROGRAMS));
}

/** A shell that becomes the program, which it finds in "$@", and what it finds open from 3 on. */
export interface Wrapper {
  readonly command: string;
  readonly descriptors: readonly number[];
}

export class Program {
  readonly id = randomUUID();
  readonly lines: Line[] = [];
  /** Settles when the program itself has ended and all that it started has closed its output. */
  readonly ended: Promise<ProgramEnd>;
  /** Settles when the program itself has ended. */
  readonly exited: Promise<ProgramEnd>;

  readonly #process: ChildProcess;
  readonly #output: string[] = [];
  readonly #waiters = new Set<Waiter>();
  readonly #since = performance.now();
  readonly #memoryBefore = sharedMemory();
  #hasExited = false;

  constructor(
    file: string,
    args: readonly string[],
    env: NodeJS.ProcessEnv = {},
    nodeFlags: readonly string[] = [],
    wrapper: Wrapper | null = null,
  ) {
    const command = [process.execPath, ...nodeFlags, file, ...args];
    const [program = '', ...rest] =
      wrapper === null ? command : ['sh', '-c', wrapper.command, 'sh', ...command];
    this.#process = spawn(program, rest, {
      stdio: ['pipe', 'pipe', 'pipe', ...(wrapper?.descriptors ?? [])],
      env: { ...withoutVitest(process.env), ...env, [MARK]: this.id },
    });
    this.exited = new Promise((resolve) => {
      this.#process.once('exit', (code, signal) => {
        this.#hasExited = true;
        this.#note(`(exit: ${signal ?? code})`);
        resolve({ code, signal });
      });
    });
    this.ended = new Promise((resolve) => {
      this.#process.once('close', (code, signal) => resolve({ code, signal }));
    });
    this.#process.stdin?.on('error', () => {}); // A program that is gone does not read.
    this.#read(this.#process.stdout, (text) => this.#hear(text));
    this.#read(this.#process.stderr, (text) => this.#note(text));
    onTestFailed(() => console.error(this.output));
    onTestFinished(() => this.#cleanUp());
  }

  get pid(): number {
    return this.#process.pid ?? 0;
  }

  /** All that the program said, with the milliseconds since its start. */
  get output(): string {
    return this.#output.join('\n');
  }

  /** The lines that are not ours: the log. */
  get log(): string {
    return this.#output.filter((line) => !line.includes('{"kind"')).join('\n');
  }

  tell(command: Command): void {
    this.#process.stdin?.write(`${JSON.stringify(command)}\n`);
  }

  /** From now on nobody reads its log. */
  closeLog(): void {
    this.#process.stderr?.destroy();
  }

  kill(signal: NodeJS.Signals): void {
    this.#process.kill(signal);
  }

  /** The place after the last line that was heard: what comes now comes after it. */
  mark(): number {
    return this.lines.length;
  }

  all<K extends Kind>(kind: K): Of<K>[] {
    return this.lines.filter((line): line is Of<K> => line.kind === kind);
  }

  /** The first line of that kind that the test accepts, heard already or still to come. */
  until<K extends Kind>(
    kind: K,
    accept: (line: Of<K>) => boolean = () => true,
    { withinMs = PATIENCE_MS, after = 0 }: UntilOptions = {},
  ): Promise<Of<K>> {
    return this.#meet(
      `a line "${kind}" with ${accept}`,
      () =>
        this.lines
          .slice(after)
          .find((line): line is Of<K> => line.kind === kind && accept(line as Of<K>)),
      withinMs,
    );
  }

  /** A worker's own words. */
  heard(name: string, text: string, options?: UntilOptions): Promise<Of<'say'>> {
    return this.#meet(
      `"${text}" of "${name}"`,
      () =>
        this.lines
          .slice(options?.after ?? 0)
          .find(
            (line): line is Of<'say'> =>
              line.kind === 'say' && line.name === name && line.text === text,
          ),
      options?.withinMs ?? PATIENCE_MS,
    );
  }

  /** That many lines of a kind. */
  async count<K extends Kind>(
    kind: K,
    count: number,
    accept: (line: Of<K>) => boolean = () => true,
    { withinMs = PATIENCE_MS, after = 0 }: UntilOptions = {},
  ): Promise<Of<K>[]> {
    const matching = () =>
      this.lines
        .slice(after)
        .filter((line): line is Of<K> => line.kind === kind && accept(line as Of<K>));
    await this.#meet(
      () => `${count} lines "${kind}" with ${accept} (there are ${matching().length})`,
      () => (matching().length >= count ? true : undefined),
      withinMs,
    );
    return matching();
  }

  /** A line of the log. */
  async logged(pattern: RegExp, { withinMs = PATIENCE_MS }: UntilOptions = {}): Promise<string> {
    return this.#meet(
      `a log line ${pattern}`,
      () => this.#output.find((line) => pattern.test(line)),
      withinMs,
    );
  }

  /** The end of the program by itself, with everything that it started. */
  async end({ withinMs = PATIENCE_MS }: UntilOptions = {}): Promise<ProgramEnd> {
    return this.#within('the end of the program and its output', this.ended, withinMs);
  }

  /** No process with this program's mark is left, within a second. */
  async empty({ withinMs = DEATH_MS }: UntilOptions = {}): Promise<void> {
    const deadline = performance.now() + withinMs;
    // The end of the output is the meeting: whoever lives holds it open. What is left after that
    // has closed its output, and nothing tells of its end.
    await Promise.race([this.ended, delay(withinMs, undefined, { ref: false })]);
    let left = marked(this.id);
    while (left.length > 0 && performance.now() < deadline) {
      await delay(5);
      left = marked(this.id);
    }
    if (left.length > 0) throw this.#failure(`${left.length} processes are left: ${table(left)}`);
  }

  async #meet<T>(
    what: string | (() => string),
    look: () => T | undefined,
    withinMs: number,
  ): Promise<T> {
    const { promise, resolve, reject } = withResolvers<T>();
    const waiter: Waiter = {
      look: () => {
        const found = look();
        if (found !== undefined) resolve(found);
      },
    };
    const say = () => (typeof what === 'string' ? what : what());
    const timer = setTimeout(
      () => reject(this.#failure(`no ${say()} within ${withinMs} ms`)),
      withinMs,
    );
    this.#waiters.add(waiter);
    waiter.look();
    void this.ended.then(() => {
      // A failure quotes all that was said: not for each of a thousand that were met long ago.
      if (!this.#waiters.has(waiter)) return;
      waiter.look();
      reject(this.#failure(`the program ended without ${say()}`));
    });
    try {
      return await promise;
    } finally {
      clearTimeout(timer);
      this.#waiters.delete(waiter);
    }
  }

  async #within<T>(what: string, promise: Promise<T>, withinMs: number): Promise<T> {
    const { promise: late, reject } = withResolvers<never>();
    const timer = setTimeout(
      () => reject(this.#failure(`no ${what} within ${withinMs} ms`)),
      withinMs,
    );
    try {
      return await Promise.race([promise, late]);
    } finally {
      clearTimeout(timer);
    }
  }

  #failure(sentence: string): Error {
    return new Error(`${sentence}\n${this.output}`);
  }

  #read(stream: NodeJS.ReadableStream | null, each: (line: string) => void): void {
    if (stream === null) return;
    createInterface({ input: stream }).on('line', (line) => {
      each(line);
      for (const waiter of this.#waiters) waiter.look();
    });
  }

  #hear(text: string): void {
    this.#note(text);
    if (text.startsWith('{"kind"')) this.lines.push(JSON.parse(text) as Line);
  }

  #note(text: string): void {
    this.#output.push(`${Math.round(performance.now() - this.#since)} ms  ${text}`);
  }

  async #cleanUp(): Promise<void> {
    if (!this.#hasExited) this.#process.kill('SIGKILL');
    try {
      await this.empty();
      const memory = sharedMemory().filter((name) => !this.#memoryBefore.includes(name));
      if (memory.length > 0) throw this.#failure(`left in /dev/shm: ${memory.join(', ')}`);
    } finally {
      for (const { pid } of marked(this.id)) process.kill(pid, 'SIGKILL');
    }
  }
}

function table(strays: readonly Stray[]): string {
  return strays.map(({ pid, state, command }) => `${pid} ${state} ${command}`).join('; ');
}

/** A program under test is nobody's test worker. */
function withoutVitest(env: NodeJS.ProcessEnv): NodeJS.ProcessEnv {
  return Object.fromEntries(
    Object.entries(env).filter(([name]) => !/^(VITEST|NODE_OPTIONS|NODE_ENV|TEST$)/.test(name)),
  );
}

function withResolvers<T>(): {
  promise: Promise<T>;
  resolve(value: T): void;
  reject(error: Error): void;
} {
  let resolve: (value: T) => void = () => {};
  let reject: (error: Error) => void = () => {};
  const promise = new Promise<T>((res, rej) => {
    resolve = res;
    reject = rej;
  });
  return { promise, resolve, reject };
}
