// deaf-host.ts: a host in front of a server, which can die without a word.

import { type ChildProcessWithoutNullStreams, spawn } from 'node:child_process';
import { once } from 'node:events';
import { createInterface, type Interface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import { onTestFinished } from 'vitest';

const PROGRAM = fileURLToPath(new URL('../fixtures/postgres/deaf-proxy.py', import.meta.url));

export class DeafHost {
  readonly #process: ChildProcessWithoutNullStreams;
  readonly #lines: Interface;
  readonly port: number;

  private constructor(process: ChildProcessWithoutNullStreams, lines: Interface, port: number) {
    this.#process = process;
    this.#lines = lines;
    this.port = port;
  }

  /** `path`: of the server's Unix socket. */
  static async start(path: string): Promise<DeafHost> {
    const process = spawn('python3', [PROGRAM, path], { stdio: 'pipe' });
    onTestFinished(async () => {
      const ended = once(process, 'exit');
      process.kill('SIGKILL');
      await ended;
    });
    const lines = createInterface({ input: process.stdout });
    const [port] = await once(lines, 'line');
    return new DeafHost(process, lines, Number(port));
  }

  /** It loses its power. */
  async die(): Promise<void> {
    const done = once(this.#lines, 'line');
    this.#process.stdin.write('die\n');
    await done;
  }
}
