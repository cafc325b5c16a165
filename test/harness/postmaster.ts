// postmaster.ts: a Postmaster in a program of its own, with the workers that a test casts.

import { chmodSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { onTestFinished } from 'vitest';
import type { PostmasterOptions } from '../../lib/index.ts';
import type { Part, Script } from '../fixtures/process/script.ts';
import { childrenOf, commandOf } from './leftovers.ts';
import { fixture, type Of, Program } from './program.ts';

export interface Setting extends Partial<PostmasterOptions>, Omit<Script, 'options'> {
  /** Who is registered. */
  readonly cast?: readonly Part[];
  readonly env?: NodeJS.ProcessEnv;
}

/** A directory that goes with the test. */
export function temporaryDirectory(): string {
  const path = mkdtempSync(join(tmpdir(), 'bgworker-test-'));
  // An embedded server under a user of its own has its data below.
  chmodSync(path, 0o711);
  onTestFinished(() => rmSync(path, { recursive: true, force: true }));
  return path;
}

/** A module of the test's own, in a directory that goes with it. */
export function moduleFile(source: string, name = 'module.mjs'): string {
  const file = join(temporaryDirectory(), name);
  writeFileSync(file, source);
  return file;
}

export class PostmasterProgram extends Program {
  readonly dataDirectory: string;

  constructor(setting: Setting) {
    const { cast, env, stopAtStart, countTurns, inspectMemory, ...rest } = setting;
    const { starts, abortStartAfterMs, ...options } = rest;
    const directory = temporaryDirectory();
    const dataDirectory = String(options.dataDirectory ?? join(directory, 'data'));
    const castFile = join(directory, 'cast.json');
    mkdirSync(directory, { recursive: true });
    writeFileSync(castFile, JSON.stringify(cast ?? []));
    const script: Script = {
      ...defined({ stopAtStart, countTurns, inspectMemory, starts, abortStartAfterMs }),
      options: {
        ...options,
        dataDirectory,
        maxWorkerProcesses: options.maxWorkerProcesses ?? 100,
        preload: options.preload ?? (cast === undefined ? [] : [fixture('cast.js')]),
        log: { level: 'debug', ...options.log },
      },
    };
    super(fixture('supervisor.js'), [JSON.stringify(script)], {
      ...env,
      BGWORKER_TEST_CAST: castFile,
    });
    this.dataDirectory = dataDirectory;
  }

  /** The launcher that the postmaster has now. */
  get launcherPid(): number {
    const pid = childrenOf(this.pid).find((one) => commandOf(one).includes('launcher'));
    if (pid === undefined) throw new Error('the postmaster has no launcher');
    return pid;
  }

  /** The pid that a worker has now: its own word or the postmaster's, whichever came last. */
  pidOf(name: string): number {
    const last = this.lines.findLast(
      (line) => (line.kind === 'start' || line.kind === 'say') && line.name === name,
    );
    if (last === undefined) throw new Error(`worker "${name}" was never started\n${this.output}`);
    return (last as Of<'start'>).pid;
  }

  exitOf(name: string, after = 0): Promise<Of<'exit'>> {
    return this.until('exit', (line) => line.name === name, { after });
  }

  startOf(name: string, after = 0): Promise<Of<'start'>> {
    return this.until('start', (line) => line.name === name, { after });
  }

  async workers(): Promise<Of<'workers'>['workers']> {
    const after = this.mark();
    this.tell({ do: 'workers' });
    return (await this.until('workers', undefined, { after })).workers;
  }

  async heapBytes(): Promise<number> {
    const after = this.mark();
    this.tell({ do: 'measureHeap' });
    return (await this.until('heap', undefined, { after })).bytes;
  }

  async sharedMemory(): Promise<Of<'sharedMemory'>['memory']> {
    const after = this.mark();
    this.tell({ do: 'sharedMemory' });
    return (await this.until('sharedMemory', undefined, { after })).memory;
  }

  /** Stops in order and waits until the program has ended by itself. */
  async stop(mode: 'smart' | 'fast' | 'immediate' = 'fast'): Promise<void> {
    this.tell({ do: 'stop', mode });
    await this.until('stopped');
    await this.end();
  }
}

/** Resolves when start() has. */
export async function startPostmaster(setting: Setting = {}): Promise<PostmasterProgram> {
  const program = new PostmasterProgram(setting);
  await program.until('started');
  return program;
}

/** For a start that is refused: the error, once the program has ended by itself. */
export async function refusedStart(setting: Setting): Promise<{
  readonly refusal: Of<'refused'>;
  readonly program: PostmasterProgram;
}> {
  const program = new PostmasterProgram(setting);
  const refusal = await program.until('refused');
  await program.end();
  return { refusal, program };
}

function defined<T extends object>(values: T): { [K in keyof T]: Exclude<T[K], undefined> } {
  return Object.fromEntries(Object.entries(values).filter(([, value]) => value !== undefined)) as {
    [K in keyof T]: Exclude<T[K], undefined>;
  };
}
