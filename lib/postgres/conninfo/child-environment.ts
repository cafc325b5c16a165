// child-environment.ts: a target as PG* variables, for a program that reads them with its own
// libpq: psql, pg_dump, a Python worker.

import { ALL_KEYWORDS, KEYWORDS, type Keyword } from './keywords.ts';
import type { ConnectionTarget } from './target.ts';

/** Settled in other ways below, or of no use once settled. */
const APART: ReadonlySet<Keyword> = new Set([
  'service',
  'user',
  'password',
  'passfile',
  'dbname',
  'host',
  'hostaddr',
  'port',
  'application_name',
]);

/** Variables of libpq that no keyword names, and that would change what ours mean. */
const STRAY = ['PGSERVICEFILE', 'PGSYSCONFDIR', 'PGREQUIRESSL'];

/**
 * `base` without libpq's variables, plus those of the target. Give it the environment that the
 * program is to have otherwise: a PGSERVICE left in there would win over what is set here.
 *
 * Keywords without a variable (keepalives*, replication, sslpassword, …) are lost. Passwords that
 * differ between hosts cannot be said in PGPASSWORD; PGPASSFILE then points at their file.
 */
export function environmentOf(
  target: ConnectionTarget,
  base: Readonly<Record<string, string | undefined>> = {},
): Record<string, string> {
  const result: Record<string, string> = {};
  for (const [name, value] of Object.entries(base)) {
    if (value !== undefined && !isOfLibpq(name)) result[name] = value;
  }
  result.PGHOST = list(target, (host) => host.host);
  if (target.hosts.some((host) => host.hostaddr !== undefined)) {
    result.PGHOSTADDR = list(target, (host) => host.hostaddr);
  }
  result.PGPORT = list(target, (host) => String(host.port));
  result.PGDATABASE = target.database;
  result.PGUSER = target.user;
  if (target.applicationName !== null) result.PGAPPNAME = target.applicationName;
  addPassword(result, target);
  for (const keyword of ALL_KEYWORDS) {
    const { variable, fallback } = KEYWORDS[keyword];
    const value = target.settings[keyword] ?? '';
    if (variable === null || APART.has(keyword) || value === '' || value === fallback) continue;
    result[variable] = value;
  }
  return result;
}

function isOfLibpq(name: string): boolean {
  return (
    STRAY.includes(name) || ALL_KEYWORDS.some((keyword) => KEYWORDS[keyword].variable === name)
  );
}

function list(
  target: ConnectionTarget,
  field: (host: ConnectionTarget['hosts'][number]) => string | undefined,
): string {
  return target.hosts.map((host) => field(host) ?? '').join(',');
}

function addPassword(result: Record<string, string>, target: ConnectionTarget): void {
  const [first, ...others] = target.hosts.map((host) => host.password);
  if (first !== undefined && others.every((password) => password === first)) {
    result.PGPASSWORD = first;
    return;
  }
  const passfile = target.settings.passfile;
  if (passfile !== undefined && passfile !== '') result.PGPASSFILE = passfile;
}
