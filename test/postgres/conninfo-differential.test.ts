// Ours against libpq itself, option by option and refusal by refusal.

import { chmodSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { BgworkerError } from '../../lib/errors.ts';
import {
  type ConninfoEnvironment,
  parseConninfo,
  processEnvironment,
  resolveConninfo,
} from '../../lib/postgres/conninfo/index.ts';
import { ALL_KEYWORDS, KEYWORDS } from '../../lib/postgres/conninfo/keywords.ts';
import {
  KEYWORD_VALUE_CORPUS,
  mutations,
  seededRandom,
  URI_CORPUS,
} from '../fixtures/libpq/corpus.ts';
import { type Answer, openOracle, type StartCase } from '../fixtures/libpq/oracle.ts';

const oracle = openOracle();
const SEED = Number(process.env.BGWORKER_TEST_SEED ?? 20_240_917);
const MUTATIONS = Number(process.env.BGWORKER_TEST_MUTATIONS ?? 1500);

let directory = '';
beforeAll(() => {
  directory = mkdtempSync(join(tmpdir(), 'bgworker-conninfo-'));
});
afterAll(() => {
  rmSync(directory, { recursive: true });
  oracle?.[Symbol.dispose]();
});

/** What of an answer is compared. Sentences are ours, so only that there is one. */
type Outcome = { refused: true } | { refused: false; options: Record<string, string> };

function theirOutcome(answer: Answer): Outcome {
  return answer.kind === 'refused'
    ? { refused: true }
    : { refused: false, options: answer.options };
}

function orRefused(decide: () => Outcome): Outcome | 'not UTF-8' {
  try {
    return decide();
  } catch (error) {
    if (!(error instanceof BgworkerError) || error.code !== 'ERR_CONNINFO') throw error;
    return error.message.includes('is not UTF-8') ? 'not UTF-8' : { refused: true };
  }
}

describe.skipIf(oracle === null)('against libpq', () => {
  test('the keyword table is PQconndefaults', () => {
    const ours = ALL_KEYWORDS.map((keyword) => ({
      keyword,
      variable: KEYWORDS[keyword].variable,
      fallback: KEYWORDS[keyword].fallback || null,
    }));
    expect(ours).toEqual(oracle?.keywords());
  });

  test.each([
    ['keyword/value strings', KEYWORD_VALUE_CORPUS],
    ['URIs', URI_CORPUS],
  ])('%s parse to the same options', (_name, corpus) => {
    const texts = [...new Set([...corpus, ...mutations(corpus, MUTATIONS, SEED)])];
    const answers = oracle?.parse(texts) ?? [];
    const accepted = answers.filter(({ kind }) => kind === 'ok').length;
    const compared = texts.map((text, index) => {
      const ours = orRefused(() => ({
        refused: false,
        options: Object.fromEntries(parseConninfo(text)),
      }));
      // The one thing that libpq takes and JavaScript strings cannot hold.
      if (ours === 'not UTF-8') return null;
      return { text, ours, theirs: theirOutcome(answers[index] as Answer) };
    });
    for (const one of compared) {
      if (one === null) continue;
      const { text, ours, theirs } = one;
      expect({ text, outcome: ours }).toEqual({ text, outcome: theirs });
    }
    // A corpus of which nearly all is refused, or nothing, would prove little.
    expect(accepted).toBeGreaterThan(texts.length / 10);
    expect(accepted).toBeLessThan(texts.length);
    expect(compared.filter((one) => one === null).length).toBeLessThan(texts.length / 10);
  });

  test('defaults, services and password files resolve to the same target', () => {
    const cases = resolveCases(directory, 1500);
    const answers = oracle?.start(cases) ?? [];
    let accepted = 0;
    let fromPassfile = 0;
    cases.forEach((one, index) => {
      const answer = answers[index] as Answer;
      const theirs = theirOutcome(answer);
      const ours = orRefused(() => ({ refused: false, options: settingsOf(one) }));
      if (!theirs.refused) settle(theirs.options);
      expect({ ...one, outcome: ours }).toEqual({ ...one, outcome: theirs });
      if (answer.kind === 'refused') return;
      accepted++;
      if (answer.password !== '' && !('password' in answer.options)) fromPassfile++;
      if (theirs.refused || theirs.options.load_balance_hosts === 'random') return;
      const last = resolveConninfo(one.conninfo, environmentFor(one)).hosts.at(-1);
      expect({
        ...one,
        host: last?.host ?? last?.hostaddr,
        port: last?.port,
        password: last?.password ?? '',
      }).toEqual({
        ...one,
        host: answer.host,
        port: Number(answer.port || 5432),
        password: answer.password,
      });
    });
    expect(accepted).toBeGreaterThan(cases.length / 4);
    expect(accepted).toBeLessThan(cases.length);
    expect(fromPassfile).toBeGreaterThan(cases.length / 50);
  });
});

function settingsOf(one: StartCase): Record<string, string> {
  const { settings } = resolveConninfo(one.conninfo, environmentFor(one));
  const options: Record<string, string> = { ...settings };
  settle(options);
  return options;
}

/** What libpq fills in when it makes use of it, and what depends on its locale. */
function settle(options: Record<string, string>): void {
  if (options.sslcertmode === 'allow') delete options.sslcertmode;
}

function environmentFor({ env }: StartCase): ConninfoEnvironment {
  return {
    ...processEnvironment(env),
    // What this libpq was compiled with.
    socketDirectory: '/tmp',
    systemDirectory: '/usr/local/pg-build/etc/postgresql',
    warn: () => {},
  };
}

/**
 * Random combinations of things that were written to meet each other: options in the string, in
 * the service and in the environment. Every host is a socket directory that does not exist or an
 * address that cannot be connected to; port 1 keeps the default directory out of harm's way.
 */
function resolveCases(root: string, count: number): StartCase[] {
  const random = seededRandom(SEED);
  const pick = <Item>(items: readonly Item[]): Item => items[random(items.length)] as Item;
  const some = <Item>(items: readonly Item[], most: number): Item[] =>
    Array.from({ length: random(most + 1) }, () => pick(items));
  const homes = [writeHome(join(root, 'full'), 0o600), writeHome(join(root, 'open'), 0o640)];
  mkdirSync(join(root, 'empty'));
  homes.push(join(root, 'empty'), join(root, 'missing'));
  const variables: readonly (readonly [string, readonly string[]])[] = [
    ['PGUSER', ['env_user', '', 'me']],
    ['PGDATABASE', ['env_db', '', 'app']],
    ['PGPASSWORD', ['env secret', '']],
    ['PGHOST', ['/nowhere/env', '/nowhere/a,/nowhere/b']],
    ['PGPORT', ['5433', '', '1,2', 'x', '0', ' 7 ', '65536', '+8']],
    ['PGSSLMODE', ['require', 'disable', 'nonsense', '']],
    ['PGREQUIRESSL', ['1', '0']],
    ['PGSSLROOTCERT', ['system', '/x']],
    ['PGAPPNAME', ['env app']],
    ['PGSERVICE', ['one', 'two', 'nobody', '', 'broken', 'nested', 'long', 'spaced', 'machine']],
    ['PGSERVICEFILE', [join(root, 'full', '.pg_service.conf'), '/nowhere/service', '/']],
    ['PGSYSCONFDIR', [join(root, 'full'), '/nowhere']],
    ['PGPASSFILE', [join(root, 'full', '.pgpass'), join(root, 'open', '.pgpass'), '', '/tmp']],
    ['PGTARGETSESSIONATTRS', ['standby', 'prefer-standby', 'any', 'writable', '']],
    ['PGLOADBALANCEHOSTS', ['disable', 'random', 'maybe']],
    ['PGCONNECT_TIMEOUT', ['5', '-1']],
    ['PGOPTIONS', ['-c geqo=off', '']],
    ['PGMINPROTOCOLVERSION', ['3.0', '3.2', 'latest', '4', '']],
    ['PGMAXPROTOCOLVERSION', ['3.0', '3.2', 'latest', '']],
    ['PGSSLMINPROTOCOLVERSION', ['tlsv1.3', 'TLSv1', '']],
    ['PGSSLMAXPROTOCOLVERSION', ['TLSv1.2', 'TLSv1', 'SSLv3']],
    ['PGREQUIREAUTH', ['md5', '!md5,!password', 'md5,!none', 'md5,md5', 'x', '', 'none', 'oauth']],
    ['PGCHANNELBINDING', ['require', 'no']],
    ['PGSSLNEGOTIATION', ['direct', 'postgres', '']],
    ['PGGSSENCMODE', ['prefer', 'off']],
    ['PGSSLCERTMODE', ['disable', 'never', '']],
    ['PGHOSTADDR', ['255.255.255.255', '255.255.255.255,255.255.255.254']],
  ];
  const fragments = [
    'user=me',
    "user=''",
    'user=other',
    'dbname=app',
    "dbname='we:ird\\\\db'",
    'password=given',
    "password=''",
    'port=5433',
    'port=1,2',
    "port=''",
    'port=,5433',
    'host=/nowhere/a,/nowhere/b',
    'host=/nowhere/a,/nowhere/b,/nowhere/c',
    'host=/nowhere/one',
    'host=db.example hostaddr=255.255.255.255',
    'host=,db.example hostaddr=255.255.255.255,255.255.255.254',
    'hostaddr=255.255.255.255',
    'service=one',
    'service=two',
    'service=nobody',
    'sslmode=verify-full',
    'sslrootcert=system',
    'sslnegotiation=direct',
    'application_name=mine fallback_application_name=theirs',
    'target_session_attrs=primary',
    `passfile=${join(root, 'full', '.pgpass')}`,
    'passfile=/nowhere/pgpass',
    'scram_client_key=AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=',
    'scram_client_key=short',
  ];
  return Array.from({ length: count }, () => {
    const chosen = some(variables, 4).map(([name, values]) => [name, pick(values)] as const);
    const conninfo = some(fragments, 4).join(' ');
    const env = Object.fromEntries([['HOME', pick(homes)], ...chosen]);
    // The default directory is /tmp, where another test may have a server at an ordinary port.
    const anywhere = /host|service/.test(conninfo) || 'PGHOST' in env || 'PGSERVICE' in env;
    return anywhere
      ? { conninfo, env }
      : {
          conninfo: conninfo.includes('port')
            ? `${conninfo} host=/nowhere/z`
            : `${conninfo} port=1`,
          env,
        };
  });
}

function writeHome(home: string, mode: number): string {
  mkdirSync(home);
  const services = [
    '# a comment',
    '[one]',
    'host=/nowhere/service',
    'dbname=service_db',
    '  user=service_user  ',
    'user=second',
    '',
    '[two]',
    'host=/nowhere/s1,/nowhere/s2',
    'port=6001,6002',
    'password=from service',
    '[one]',
    'dbname=never',
    '[broken]',
    'host=/nowhere/service',
    'no equals sign',
    '[nested]',
    'host=/nowhere/service',
    'service=one',
    '[spaced]',
    'host = /nowhere/service',
    `[long]`,
    `host=/nowhere/${'x'.repeat(1100)}`,
  ];
  writeFileSync(join(home, '.pg_service.conf'), services.slice(0, 21).join('\n'));
  writeFileSync(
    join(home, 'pg_service.conf'),
    [...services, ''].join('\n').replace('[long]', '[machine]\nhost=/nowhere/machine\n[long]'),
  );
  const passwords = [
    '# host:port:database:user:password',
    '#localhost:*:*:*:commented out',
    'localhost:1:*:me:local one',
    '/nowhere/a:5433:app:me:a\\:b\\\\c:rest',
    '/nowhere/b:2:*:me:b two',
    '/nowhere/c:*:*:*:any c\r',
    '*:*:we\\:ird\\\\db:*:weird',
    '/nowhere/one:5432:app:*:',
    'db.example:*:*:me:named',
    '255.255.255.255:*:*:*:addressed',
    'too:short',
    '*:*:env_db:*:last\\',
  ];
  writeFileSync(join(home, '.pgpass'), passwords.join('\n'));
  chmodSync(join(home, '.pgpass'), mode);
  return home;
}
