// service.ts: options from a service file, pg_service.conf: sections of keyword=value lines.
//
// A service stands between the connection string and the PG* variables. The user's own file is
// asked first; the machine's file is asked only if the service is not in the user's.

import type { ConninfoEnvironment, FileLook } from './environment.ts';
import { type ConninfoOptions, isKeyword, type Keyword } from './keywords.ts';
import { messages } from './messages.ts';
import { trimSpace } from './white-space.ts';

/** libpq reads lines into a buffer of this size. */
const LINE_BYTES = 1024;

/** The options of a service, where the first of two equal keywords wins. */
export function readService(service: string, environment: ConninfoEnvironment): ConninfoOptions {
  const looked: string[] = [];
  for (const path of serviceFiles(environment)) {
    const look = environment.readFile(path);
    if (!isThere(look, path, environment)) continue;
    looked.push(path);
    const options = parseServiceFile(textOf(look, path), service, path);
    if (options !== null) return options;
  }
  throw messages.serviceNotFound(service, looked);
}

function serviceFiles({ env, homeDirectory, systemDirectory }: ConninfoEnvironment): string[] {
  const files: string[] = [];
  const own = env.PGSERVICEFILE;
  if (own !== undefined) files.push(own);
  else if (homeDirectory !== null) files.push(`${homeDirectory}/.pg_service.conf`);
  files.push(`${env.PGSYSCONFDIR ?? systemDirectory}/pg_service.conf`);
  return files;
}

/** A default file may be missing; one that was named may not. */
function isThere(look: FileLook, path: string, { env }: ConninfoEnvironment): boolean {
  if (look.kind !== 'missing') return true;
  if (path === env.PGSERVICEFILE) throw messages.serviceFileMissing(path);
  return false;
}

function textOf(look: FileLook, path: string): string {
  if (look.kind === 'file') return look.text;
  // libpq opens a directory happily and then reads nothing from it.
  if (look.kind === 'not a plain file') return '';
  throw messages.serviceFileMissing(path);
}

/** null if the file has no such section. The first section of that name is all that counts. */
function parseServiceFile(text: string, service: string, path: string): ConninfoOptions | null {
  let options: Map<Keyword, string> | null = null;
  const lines = text.split('\n');
  for (const [index, raw] of lines.entries()) {
    const newline = index < lines.length - 1 ? 1 : 0;
    const tooLong = Buffer.byteLength(raw) + newline >= LINE_BYTES - 1;
    if (tooLong) throw messages.serviceLineTooLong(path, index + 1);
    const line = trimSpace(raw);
    if (line === '' || line.startsWith('#')) continue;
    if (line.startsWith('[')) {
      if (options !== null) break;
      if (line.startsWith(`[${service}]`)) options = new Map();
    } else if (options !== null) {
      readLine(line, options, path, index + 1);
    }
  }
  return options;
}

function readLine(line: string, options: Map<Keyword, string>, path: string, at: number): void {
  const equals = line.indexOf('=');
  if (equals < 0) throw messages.serviceSyntax(path, at);
  const word = line.slice(0, equals);
  if (word === 'service') throw messages.nestedService(path, at);
  if (!isKeyword(word)) throw messages.unknownKeyword(word, true, `line ${at} of "${path}"`);
  if (!options.has(word)) options.set(word, line.slice(equals + 1));
}
