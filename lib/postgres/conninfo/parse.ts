// parse.ts: a connection string as PostgreSQL's own programs take it, in either notation.
//
// Pure. What the string does not say is not in the result: resolve.ts fills that in.

import { parseKeywordValue } from './keyword-value.ts';
import type { ConninfoOptions, Keyword } from './keywords.ts';
import { messages } from './messages.ts';
import { isUri, parseUri } from './uri.ts';

/** Reads "host=… dbname=…" or "postgresql://…". Throws ERR_CONNINFO. */
export function parseConninfo(text: string): ConninfoOptions {
  if (text.includes('\0')) throw messages.nulCharacter();
  return isUri(text) ? parseUri(text) : parseKeywordValue(text);
}

/** What a caller may set over the head of a connection string. */
export interface ConninfoOverrides {
  readonly database?: string | undefined;
  readonly user?: string | undefined;
  readonly applicationName?: string | undefined;
}

/**
 * The same connection with another database, user or application name, as worker.connect() and
 * the command line need it. Before resolution, so that a password from the password file and a
 * database that defaults to the user's name are those of the new user.
 */
export function overrideConninfo(
  conninfo: string | ConninfoOptions,
  overrides: ConninfoOverrides,
): ConninfoOptions {
  const options = new Map(typeof conninfo === 'string' ? parseConninfo(conninfo) : conninfo);
  set(options, 'dbname', overrides.database);
  set(options, 'user', overrides.user);
  set(options, 'application_name', overrides.applicationName);
  return options;
}

function set(options: Map<Keyword, string>, keyword: Keyword, value: string | undefined): void {
  if (value === undefined) return;
  if (value.includes('\0')) throw messages.nulCharacter();
  options.set(keyword, value);
}
