// passfile.ts: passwords from ~/.pgpass: lines of host:port:database:user:password.
//
// The first line that matches counts. A field "*" matches anything, and a backslash makes the
// next character literal. A file that others could read is ignored, with a warning.

import type { ConninfoEnvironment } from './environment.ts';
import { warnings } from './messages.ts';

/** Whom a password is for. */
export interface PasswordSeeker {
  /** The host name, else its address. A local socket in its default directory is "localhost". */
  readonly host: string;
  readonly port: number;
  readonly database: string;
  readonly user: string;
}

/** The text to look in, or null if there is none that may be used. Warns at most once. */
export function readPassfile(path: string, environment: ConninfoEnvironment): string | null {
  const look = environment.readFile(path);
  if (look.kind === 'not a plain file') environment.warn(warnings.passfileNotPlain(path));
  if (look.kind !== 'file') return null;
  if ((look.mode & 0o077) !== 0) {
    environment.warn(warnings.passfilePermissions(path));
    return null;
  }
  return look.text;
}

export function passwordFor(seeker: PasswordSeeker, passfile: string): string | null {
  const wanted = [seeker.host, String(seeker.port), seeker.database, seeker.user];
  for (const raw of passfile.split('\n')) {
    if (raw.startsWith('#')) continue;
    const password = matchLine(raw.replace(/\r+$/, ''), wanted);
    if (password !== null) return password;
  }
  return null;
}

function matchLine(line: string, wanted: readonly string[]): string | null {
  let rest: string | null = line;
  for (const value of wanted) {
    rest = matchField(rest, value);
    if (rest === null) return null;
  }
  return unescapePassword(rest);
}

/** What stands behind the field and its colon, or null if the field is another one. */
function matchField(line: string, value: string): string | null {
  if (line.startsWith('*:')) return line.slice(2);
  let at = 0;
  let matched = 0;
  while (at < line.length) {
    const escaped = line[at] === '\\';
    if (escaped) at++;
    if (!escaped && line[at] === ':' && matched === value.length) return line.slice(at + 1);
    if (matched === value.length || line[at] !== value[matched]) return null;
    at++;
    matched++;
  }
  return null;
}

/** A colon ends the password, unless it is escaped; what follows is a comment to libpq. */
function unescapePassword(text: string): string {
  let password = '';
  for (let at = 0; at < text.length && text[at] !== ':'; at++) {
    if (text[at] === '\\' && at + 1 < text.length) at++;
    password += text[at];
  }
  return password;
}
