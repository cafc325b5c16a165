// cluster.ts: real PostgreSQL servers that no postmaster of ours runs: primaries, their standbys, and
// what may happen to each. All of them are gone when the test is over.
//
// initdb runs once for all tests of a file; every server is a copy of what it made. So a standby has
// its primary's past by itself, and what the primary did since it gets from it.

import { type ChildProcess, execFileSync, spawn } from 'node:child_process';
import { once } from 'node:events';
import {
  chmodSync,
  chownSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Client } from 'pg';
import { afterAll, onTestFailed, onTestFinished } from 'vitest';
import type { TargetClient } from '../../lib/postgres/connect/client.ts';
import { connectTo } from '../../lib/postgres/connect/connect.ts';
import { processEnvironment, resolveConninfo } from '../../lib/postgres/conninfo/index.ts';
import {
  type PreparedServer,
  prepareServer,
  waitForReady,
} from '../../lib/postgres/server/prepare.ts';
import { temporaryDirectory } from './postmaster.ts';

/** Which PostgreSQL: the npm package's, or one that is installed on this machine. */
export interface Installation {
  readonly name: string;
  readonly binDirectory: string | undefined;
}

const DEBIAN = '/usr/lib/postgresql';

/** The embedded one, and the machine's newest where there is one. */
export const INSTALLATIONS: readonly Installation[] = [
  { name: 'embedded', binDirectory: undefined },
  ...installed().slice(0, 1),
];

function installed(): Installation[] {
  try {
    return readdirSync(DEBIAN)
      .sort((a, b) => Number(b) - Number(a))
      .map((major) => ({ name: `Debian's ${major}`, binDirectory: `${DEBIAN}/${major}/bin` }));
  } catch {
    return []; // There is none.
  }
}

/** Its standbys find all of its past, however late they come. */
const PRIMARY_SETTINGS = { wal_keep_size: '64MB' };

const templates = new Map<string, Promise<string>>();
const directories: string[] = [];

afterAll(() => {
  for (const directory of directories) rmSync(directory, { recursive: true, force: true });
});

/** The data directory that initdb has made, once. */
function templateOf(installation: Installation): Promise<string> {
  const known = templates.get(installation.name) ?? makeTemplate(installation);
  templates.set(installation.name, known);
  return known;
}

async function makeTemplate({ binDirectory }: Installation): Promise<string> {
  const dataDirectory = mkdtempSync(join(tmpdir(), 'bgworker-template-'));
  directories.push(dataDirectory);
  chmodSync(dataDirectory, 0o711);
  const { pgdata } = await prepareServer({ dataDirectory, binDirectory });
  return pgdata;
}

const REST = 'user=postgres dbname=postgres';

export class Server {
  readonly #prepared: PreparedServer;
  readonly #installation: Installation;
  readonly #said: string[] = [];
  #process: ChildProcess | null = null;
  #isOver = false;

  private constructor(prepared: PreparedServer, installation: Installation) {
    this.#prepared = prepared;
    this.#installation = installation;
    onTestFailed(() => console.error(this.log));
    onTestFinished(() => {
      this.#isOver = true;
      return this.#end('SIGQUIT');
    });
  }

  /** A primary that runs. */
  static async start(
    installation: Installation,
    settings: Readonly<Record<string, string>> = {},
  ): Promise<Server> {
    const server = await Server.#make(installation, { ...PRIMARY_SETTINGS, ...settings });
    await server.start();
    return server;
  }

  /** It does not run yet. */
  static async #make(
    installation: Installation,
    settings: Readonly<Record<string, string>>,
  ): Promise<Server> {
    const dataDirectory = temporaryDirectory();
    execFileSync('cp', ['-a', await templateOf(installation), join(dataDirectory, 'postgres')]);
    const { binDirectory } = installation;
    const prepared = await prepareServer({ dataDirectory, binDirectory, settings });
    return new Server(prepared, installation);
  }

  get pid(): number {
    return this.#process?.pid ?? 0;
  }

  get host(): string {
    return this.#prepared.socketDirectory;
  }

  get log(): string {
    return this.#said.join('');
  }

  conninfo(rest = REST): string {
    return `host=${this.host} ${rest}`;
  }

  /** A standby of this primary, which runs. */
  async standby(settings: Readonly<Record<string, string>> = {}): Promise<Server> {
    const primary = `host=${this.host} user=postgres`;
    const standby = await Server.#make(this.#installation, {
      ...{ primary_conninfo: primary, ...settings },
    });
    const { pgdata, identity } = standby.#prepared;
    const signalFile = join(pgdata, 'standby.signal');
    writeFileSync(signalFile, '', { mode: 0o600 });
    chownSync(signalFile, identity.uid, identity.gid);
    await standby.start(settings.hot_standby === 'off' ? 'not' : 'ready');
    return standby;
  }

  /** 'not': it will not let anybody in. */
  async start(until: 'ready' | 'not' = 'ready'): Promise<void> {
    // A test that took too long goes on, and nobody would end what it starts.
    if (this.#isOver) throw new Error('the test is over');
    const { program, pgdata, identity } = this.#prepared;
    const env = Object.fromEntries(program.env.map((one) => one.split(/=(.*)/s, 2)));
    mkdirSync(this.host, { recursive: true });
    const child = spawn(program.file, program.args.slice(1), {
      argv0: program.args[0] ?? program.file,
      cwd: '/',
      env,
      stdio: ['ignore', 'pipe', 'pipe'],
      ...(identity.switches && { uid: identity.uid, gid: identity.gid }),
    });
    for (const stream of [child.stdout, child.stderr]) {
      stream.on('data', (text) => this.#said.push(String(text)));
    }
    this.#process = child;
    const pid = child.pid ?? 0;
    if (until === 'not') return;
    const ended = once(child, 'exit').then(() => {
      throw new Error(`the server ended:\n${this.log}`);
    });
    ended.catch(() => {});
    await Promise.race([waitForReady(pgdata, { pid }), ended]);
  }

  stop(mode: 'fast' | 'immediate' = 'fast'): Promise<void> {
    return this.#end(mode === 'fast' ? 'SIGINT' : 'SIGQUIT');
  }

  /** Without a farewell; its other processes notice, and go. */
  kill(): Promise<void> {
    return this.#end('SIGKILL');
  }

  async client(rest = REST): Promise<TargetClient> {
    return connectTo(resolveConninfo(this.conninfo(rest), processEnvironment()));
  }

  /** Of one statement, on a connection of its own. */
  async query<Row extends object = Record<string, unknown>>(
    sql: string,
    rest = REST,
  ): Promise<Row[]> {
    const client: Client = await this.client(rest);
    try {
      return (await client.query<Row>(sql)).rows;
    } finally {
      await client.end();
    }
  }

  /** Resolves when it has been promoted. */
  async promote(): Promise<void> {
    await this.query('SELECT pg_promote()');
  }

  /** What pg_ctl promote does, where nobody is let in to ask for it. */
  promoteFromOutside(): void {
    writeFileSync(join(this.#prepared.pgdata, 'promote'), '');
    this.#process?.kill('SIGUSR1');
  }

  async #end(signal: NodeJS.Signals): Promise<void> {
    const child = this.#process;
    this.#process = null;
    if (child === null || child.exitCode !== null || child.signalCode !== null) return;
    // 'close': all of its processes have let go of its output.
    const closed = once(child, 'close');
    child.kill(signal);
    await closed;
  }
}
