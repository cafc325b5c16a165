// resolve.ts: from a connection string to a target, filling in what it leaves out.
//
// In this order, the first that has a value wins: the string itself, the service file, the PG*
// variables, the built-in default. Passwords come last, from the password file, because they
// depend on all the rest.

import type { ConninfoEnvironment } from './environment.ts';
import { hostsOf } from './hosts.ts';
import { ALL_KEYWORDS, type ConninfoOptions, KEYWORDS, type Keyword } from './keywords.ts';
import { messages } from './messages.ts';
import { parseConninfo } from './parse.ts';
import { passwordFor, readPassfile } from './passfile.ts';
import { checkRules, parseWhole } from './rules.ts';
import { readService } from './service.ts';
import type {
  ConnectionTarget,
  Keepalives,
  SslMode,
  TargetHost,
  TargetSessionAttrs,
} from './target.ts';

/** Throws ERR_CONNINFO on anything that is not right; opens no connection. */
export function resolveConninfo(
  conninfo: string | ConninfoOptions,
  environment: ConninfoEnvironment,
): ConnectionTarget {
  const explicit = typeof conninfo === 'string' ? parseConninfo(conninfo) : conninfo;
  const settings = withDefaults(explicit, environment);
  const user = settings.get('user') || environment.userName;
  if (user === null) throw messages.noUserName();
  settings.set('user', user);
  const database = settings.get('dbname') || user;
  settings.set('dbname', database);
  const bare = hostsOf(settings, environment.socketDirectory);
  const hosts = withPasswords(bare, settings, environment);
  checkRules(settings);
  const timeout = parseWhole(settings.get('connect_timeout') ?? '') ?? 0;
  return {
    hosts,
    database,
    user,
    applicationName:
      settings.get('application_name') || settings.get('fallback_application_name') || null,
    targetSessionAttrs: settings.get('target_session_attrs') as TargetSessionAttrs,
    loadBalanceHosts: settings.get('load_balance_hosts') as 'disable' | 'random',
    connectTimeoutMs: timeout > 0 ? timeout * 1000 : null,
    sslMode: settings.get('sslmode') as SslMode,
    keepalives: keepalivesOf(settings),
    options: settings.get('options') ?? '',
    settings: Object.fromEntries(settings),
    homeDirectory: environment.homeDirectory,
  };
}

function withDefaults(
  explicit: ConninfoOptions,
  environment: ConninfoEnvironment,
): Map<Keyword, string> {
  const { env } = environment;
  const settings = new Map(explicit);
  const service = explicit.get('service') ?? env.PGSERVICE;
  if (service !== undefined) {
    for (const [keyword, value] of readService(service, environment)) {
      if (!settings.has(keyword)) settings.set(keyword, value);
    }
  }
  for (const keyword of ALL_KEYWORDS) {
    if (settings.has(keyword)) continue;
    const { variable } = KEYWORDS[keyword];
    const value =
      (variable === null ? undefined : env[variable]) ?? builtIn(keyword, settings, env);
    if (value !== null) settings.set(keyword, value);
  }
  return settings;
}

function builtIn(
  keyword: Keyword,
  settings: ConninfoOptions,
  env: ConninfoEnvironment['env'],
): string | null {
  if (keyword !== 'sslmode') return KEYWORDS[keyword].fallback;
  // PGREQUIRESSL is older than sslmode and still read. System-wide roots are of use only to those
  // who check the host name, too, so they raise the default.
  if (env.PGREQUIRESSL?.startsWith('1')) return 'require';
  const roots = settings.get('sslrootcert') ?? env.PGSSLROOTCERT;
  return roots === 'system' ? 'verify-full' : KEYWORDS.sslmode.fallback;
}

function withPasswords(
  hosts: readonly TargetHost[],
  settings: Map<Keyword, string>,
  environment: ConninfoEnvironment,
): readonly TargetHost[] {
  const given = settings.get('password') ?? '';
  if (given !== '') return hosts.map((host) => ({ ...host, password: given }));
  const path = settings.get('passfile') || defaultPassfile(environment);
  if (path === null) return hosts;
  settings.set('passfile', path);
  const text = readPassfile(path, environment);
  if (text === null) return hosts;
  const database = settings.get('dbname') ?? '';
  const user = settings.get('user') ?? '';
  return hosts.map((host) => {
    const name = host.host ?? host.hostaddr ?? '';
    const known = name === environment.socketDirectory ? 'localhost' : name;
    const password = passwordFor({ host: known, port: host.port, database, user }, text);
    // An empty one is none.
    return password === null || password === '' ? host : { ...host, password };
  });
}

function defaultPassfile({ homeDirectory }: ConninfoEnvironment): string | null {
  return homeDirectory === null ? null : `${homeDirectory}/.pgpass`;
}

function keepalivesOf(settings: ConninfoOptions): Keepalives {
  const number = (keyword: Keyword) => Math.max(0, parseWhole(settings.get(keyword) ?? '') ?? 0);
  return {
    enabled:
      parseWhole(settings.get('keepalives') ?? '1') !== 0 && settings.get('keepalives') !== '',
    idleSeconds: number('keepalives_idle'),
    intervalSeconds: number('keepalives_interval'),
    count: number('keepalives_count'),
    userTimeoutMs: number('tcp_user_timeout'),
  };
}
