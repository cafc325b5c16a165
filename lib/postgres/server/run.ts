// run.ts: runs one of PostgreSQL's small programs (initdb, postgres --version, pg_config) to its
// end, as the server's user, and says how it ended. For programs that end by themselves; the server
// itself is the launcher's child.

import { spawn } from 'node:child_process';
import type { ServerIdentity } from './identity.ts';

export interface RunOptions {
  /** null: as this process. */
  readonly identity: ServerIdentity | null;
  readonly env: Readonly<Record<string, string>>;
  readonly signal?: AbortSignal | undefined;
  readonly timeoutMs?: number;
}

export type RunResult =
  | {
      readonly kind: 'ended';
      readonly how: string;
      readonly ok: boolean;
      readonly output: string;
      readonly errors: string;
    }
  /** It could not be started at all. */
  | { readonly kind: 'not started'; readonly reason: string };

/** More than any of these programs says; the rest is dropped. */
const MAX_OUTPUT_CHARS = 64 * 1024;

/** Rejects only with the signal's reason, and then the program and its children are gone. */
export async function run(
  file: string,
  args: readonly string[],
  { identity, env, signal, timeoutMs }: RunOptions,
): Promise<RunResult> {
  signal?.throwIfAborted();
  const result = await new Promise<RunResult>((resolve) => {
    const child = spawn(file, args, {
      // A group of its own, so that initdb's `postgres --boot` can be ended with it.
      detached: true,
      cwd: '/',
      env: { ...env },
      stdio: ['ignore', 'pipe', 'pipe'],
      ...(identity?.switches ? { uid: identity.uid, gid: identity.gid } : {}),
    });
    let timedOut = false;
    const end = () => killGroup(child.pid);
    const timer =
      timeoutMs === undefined
        ? undefined
        : setTimeout(() => {
            timedOut = true;
            end();
          }, timeoutMs);
    signal?.addEventListener('abort', end, { once: true });
    const output = collect(child.stdout);
    const errors = collect(child.stderr);
    const settle = (outcome: RunResult) => {
      clearTimeout(timer);
      signal?.removeEventListener('abort', end);
      resolve(outcome);
    };
    child.on('error', (error) => settle({ kind: 'not started', reason: error.message }));
    // 'close' and not 'exit': every process that holds the pipes is then gone, too.
    child.on('close', (code, signalName) => {
      const by = signalName === null ? `exited with code ${code}` : `was ended by ${signalName}`;
      const how = timedOut ? `took longer than ${timeoutMs} ms` : by;
      settle({ kind: 'ended', how, ok: code === 0, output: output(), errors: errors() });
    });
  });
  signal?.throwIfAborted();
  return result;
}

function collect(stream: NodeJS.ReadableStream): () => string {
  let text = '';
  stream.setEncoding('utf8');
  stream.on('data', (chunk: string) => {
    text = (text + chunk).slice(0, MAX_OUTPUT_CHARS);
  });
  return () => text;
}

function killGroup(pid: number | undefined): void {
  if (pid === undefined) return;
  try {
    process.kill(-pid, 'SIGKILL');
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'ESRCH') throw error; // ESRCH: it ended first
  }
}
