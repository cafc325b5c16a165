// messages.ts: every sentence that the conninfo layer says, as errors with the code ERR_CONNINFO.
//
// No password may appear in one. A password that was not quoted or not percent-encoded spills
// into whatever stands behind it, so a word of the user's is repeated only where no password can
// have run into it (`mayEcho`), a port never, and a whole connection string never.

import { BgworkerError } from '../../errors.ts';
import { type Keyword, nearestKeyword } from './keywords.ts';

function refuse(sentence: string): BgworkerError {
  return new BgworkerError('ERR_CONNINFO', sentence);
}

export const messages = {
  unknownKeyword(word: string, mayEcho: boolean, where: string): BgworkerError {
    if (!mayEcho) {
      return refuse(
        `unknown connection keyword in ${where}; a password that contains white space, quotes, & or @ must be quoted in a keyword/value string and percent-encoded in a URI`,
      );
    }
    const near = nearestKeyword(word);
    const advice =
      near === null
        ? 'libpq\'s keywords are listed in PostgreSQL\'s documentation under "Connection Strings"'
        : `did you mean "${near}"?`;
    return refuse(`unknown connection keyword "${word}" in ${where}; ${advice}`);
  },

  nulCharacter(): BgworkerError {
    return refuse('a connection string must not contain the character NUL');
  },

  // Keyword/value strings.

  missingEquals(word: string, mayEcho: boolean, position: number): BgworkerError {
    const what = mayEcho ? `"${word}"` : 'the word';
    return refuse(
      `missing "=" after ${what} at character ${position} of the connection string; write keyword=value pairs separated by spaces, and quote a value that contains spaces: keyword='two words'`,
    );
  },

  unterminatedQuote(keyword: string, mayEcho: boolean): BgworkerError {
    const what = mayEcho ? `the value of "${keyword}"` : 'a value';
    return refuse(
      `${what} begins with a single quote that is never closed; end it with ', and write a quote inside it as \\'`,
    );
  },

  // URIs.

  openBracket(): BgworkerError {
    return refuse('an IPv6 address in the URI begins with "[" but has no matching "]"');
  },

  emptyBrackets(): BgworkerError {
    return refuse('the IPv6 address between "[" and "]" in the URI must not be empty');
  },

  afterBracket(position: number): BgworkerError {
    return refuse(
      `only ":", "/", "?" or "," may follow the "]" of an IPv6 address in a URI, see character ${position}`,
    );
  },

  missingParameterEquals(word: string, mayEcho: boolean): BgworkerError {
    const what = mayEcho ? `the URI parameter "${word}"` : 'a URI parameter';
    return refuse(`${what} has no "="; write ?keyword=value&keyword=value`);
  },

  extraParameterEquals(word: string, mayEcho: boolean): BgworkerError {
    const what = mayEcho ? `the URI parameter "${word}"` : 'a URI parameter';
    return refuse(`${what} has more than one "="; write an "=" inside a value as %3D`);
  },

  badPercent(part: string): BgworkerError {
    return refuse(
      `${part} of the URI contains a "%" that two hexadecimal digits do not follow; write a literal % as %25`,
    );
  },

  percentZero(part: string): BgworkerError {
    return refuse(`${part} of the URI contains %00, which no connection option can hold`);
  },

  percentSpaces(part: string): BgworkerError {
    return refuse(`${part} of the URI contains a space; write it as %20`);
  },

  percentNotUtf8(part: string): BgworkerError {
    return refuse(
      `${part} of the URI is not UTF-8 once it is percent-decoded; percent-encode the bytes of its UTF-8 form`,
    );
  },

  // Service files.

  serviceNotFound(service: string, looked: readonly string[]): BgworkerError {
    const where =
      looked.length === 0 ? 'there is no service file' : `looked in ${looked.join(', ')}`;
    return refuse(
      `no definition of service "${service}" (${where}); add a [${service}] section, or name the file in PGSERVICEFILE`,
    );
  },

  serviceFileMissing(path: string): BgworkerError {
    return refuse(`the service file "${path}", which PGSERVICEFILE names, cannot be read`);
  },

  serviceLineTooLong(path: string, line: number): BgworkerError {
    return refuse(
      `line ${line} of the service file "${path}" is longer than the 1021 bytes that libpq reads`,
    );
  },

  serviceSyntax(path: string, line: number): BgworkerError {
    return refuse(
      `line ${line} of the service file "${path}" is no keyword=value pair; spaces around "=" are not allowed there`,
    );
  },

  nestedService(path: string, line: number): BgworkerError {
    return refuse(
      `line ${line} of the service file "${path}" names another service; write its options out`,
    );
  },

  // Values.

  badValue(keyword: Keyword, rule: string, value: string): BgworkerError {
    return refuse(`${keyword} must be ${rule}, got "${value}"`);
  },

  badSecret(keyword: Keyword, rule: string): BgworkerError {
    return refuse(`${keyword} must be ${rule}`);
  },

  badPort(index: number, count: number): BgworkerError {
    const which = count === 1 ? 'port' : `port ${index + 1} of ${count}`;
    return refuse(
      `${which} must be a whole number from 1 to 65535; if it is a part of a password, percent-encode the password's :, / and @ as %3A, %2F and %40`,
    );
  },

  badHostName(index: number): BgworkerError {
    return refuse(
      `host ${index + 1} contains "@" or white space, which no host name does; write an @ in the password of a URI as %40, and a host list without spaces`,
    );
  },

  badHostAddress(index: number): BgworkerError {
    return refuse(
      `hostaddr ${index + 1} is no IPv4 or IPv6 address; put a name into "host" instead`,
    );
  },

  hostCounts(hosts: number, addresses: number): BgworkerError {
    return refuse(
      `host lists ${hosts} and hostaddr ${addresses} entries; give as many of one as of the other, leaving entries empty if need be`,
    );
  },

  portCounts(ports: number, hosts: number): BgworkerError {
    return refuse(`port lists ${ports} entries for ${hosts} hosts; give one port, or one per host`);
  },

  weakWithSystemRoots(mode: string): BgworkerError {
    return refuse(`sslrootcert=system needs sslmode=verify-full, got "${mode}"`);
  },

  weakWithDirect(mode: string): BgworkerError {
    return refuse(
      `sslnegotiation=direct needs sslmode require, verify-ca or verify-full, got "${mode}"`,
    );
  },

  emptyRange(low: Keyword, high: Keyword): BgworkerError {
    return refuse(`${low} must not be higher than ${high}`);
  },

  noUserName(): BgworkerError {
    return refuse(
      'no user to connect as: this process runs under a user id that has no name; set "user" or PGUSER',
    );
  },

  // What pg, the client underneath, cannot do.

  notInPg(keyword: Keyword, what: string): BgworkerError {
    return refuse(
      `${keyword} asks for ${what}, which the "pg" client cannot do; remove ${keyword} if you can do without`,
    );
  },

  abstractSocket(): BgworkerError {
    return refuse(
      'host names a socket in the abstract namespace ("@…"), which the "pg" client cannot reach; give the server a directory in unix_socket_directories and name that',
    );
  },

  certificateFile(keyword: Keyword, path: string, why: string): BgworkerError {
    return refuse(`${keyword}: the file "${path}" ${why}`);
  },
};

/** What became of one attempt, for a person: "db.example:5432: password authentication failed". */
export interface AttemptSaid {
  readonly where: string;
  readonly cause: Error;
}

/** Sentences of connect.ts. `cause` is the first failure of the kind that the code speaks of. */
export const connectMessages = {
  failed(
    code: 'ERR_SERVER_UNREACHABLE' | 'ERR_SERVER_REFUSED',
    who: { readonly database: string; readonly user: string },
    said: readonly AttemptSaid[],
    cause: Error,
  ): BgworkerError {
    const each = said.map((one) => `${one.where}: ${one.cause.message}`).join('; ');
    return new BgworkerError(
      code,
      `could not connect to database "${who.database}" as user "${who.user}": ${each}`,
      { cause },
    );
  },

  timeout(milliseconds: number): Error {
    return new Error(`no connection within connect_timeout (${milliseconds / 1000} s)`);
  },

  noPassword(): Error {
    return new Error(
      'the server asks for a password, and none is given; set "password", PGPASSWORD or a line in the password file',
    );
  },

  noSsl(mode: string): Error {
    return new Error(`the server does not support SSL, but sslmode is "${mode}"`);
  },

  ended(): Error {
    return new Error('the server closed the connection');
  },

  /** libpq's words. */
  unsuitable: {
    'read-write': 'session is read-only',
    'read-only': 'session is not read-only',
    primary: 'server is in hot standby mode',
    standby: 'server is not in hot standby mode',
  },
};

/** Said through the environment's warn(), as libpq says it on standard error. */
export const warnings = {
  passfileNotPlain(path: string): string {
    return `password file "${path}" is not a plain file, so it is ignored`;
  },
  passfilePermissions(path: string): string {
    return `password file "${path}" has group or world access, so it is ignored; permissions should be u=rw (0600) or less`;
  },
};
