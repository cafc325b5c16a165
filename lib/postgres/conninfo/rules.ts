// rules.ts: what the value of each keyword must be.
//
// checkRules() refuses at once what libpq refuses before it connects, and also the numbers that
// libpq would only notice once it has a socket.

import type { ConninfoOptions, Keyword } from './keywords.ts';
import { messages } from './messages.ts';
import { SSL_MODES, TARGET_SESSION_ATTRS } from './target.ts';
import { trimSpace } from './white-space.ts';

const TLS_VERSIONS = ['TLSv1', 'TLSv1.1', 'TLSv1.2', 'TLSv1.3'];
const PROTOCOLS = ['3.0', '3.2', 'latest'];
const AUTH_METHODS = ['password', 'md5', 'gss', 'sspi', 'scram-sha-256', 'oauth', 'none'];

/** One of these words, exactly; an empty value is wrong, too. */
const WORDS: readonly (readonly [Keyword, readonly string[]])[] = [
  ['channel_binding', ['disable', 'prefer', 'require']],
  ['sslmode', SSL_MODES],
  ['sslnegotiation', ['postgres', 'direct']],
  ['sslcertmode', ['disable', 'allow', 'require']],
  ['gssencmode', ['disable', 'prefer', 'require']],
  ['min_protocol_version', PROTOCOLS],
  ['max_protocol_version', PROTOCOLS],
  ['target_session_attrs', TARGET_SESSION_ATTRS],
  ['load_balance_hosts', ['disable', 'random']],
];

const NUMBERS: readonly (readonly [Keyword, string])[] = [
  ['connect_timeout', 'a whole number of seconds (0 waits for ever)'],
  ['keepalives', '1 or 0'],
  ['keepalives_idle', 'a whole number of seconds'],
  ['keepalives_interval', 'a whole number of seconds'],
  ['keepalives_count', 'a whole number'],
  ['tcp_user_timeout', 'a whole number of milliseconds'],
];

export function checkRules(settings: ConninfoOptions): void {
  for (const [keyword, words] of WORDS) {
    const value = settings.get(keyword);
    if (value === undefined || words.includes(value)) continue;
    throw messages.badValue(keyword, `one of ${words.join(', ')}`, value);
  }
  for (const [keyword, rule] of NUMBERS) {
    const value = settings.get(keyword);
    if (value === undefined || (keyword === 'keepalives' && value === '')) continue;
    if (parseWhole(value) === null) throw messages.badValue(keyword, rule, value);
  }
  checkSslCombination(settings);
  checkTlsVersions(settings);
  checkProtocolRange(settings);
  checkRequireAuth(settings.get('require_auth') ?? '');
  checkScramKey('scram_client_key', settings);
  checkScramKey('scram_server_key', settings);
}

/** C's strtol() within 32 bits, with white space around it; null if it is anything else. */
export function parseWhole(text: string): number | null {
  const trimmed = trimSpace(text);
  if (!/^[+-]?[0-9]+$/.test(trimmed)) return null;
  const value = Number(trimmed);
  return value >= -(2 ** 31) && value < 2 ** 31 ? value : null;
}

function checkSslCombination(settings: ConninfoOptions): void {
  const mode = settings.get('sslmode') ?? '';
  if (settings.get('sslnegotiation') === 'direct' && !/^(require|verify)/.test(mode)) {
    throw messages.weakWithDirect(mode);
  }
  if (settings.get('sslrootcert') === 'system' && mode !== 'verify-full') {
    throw messages.weakWithSystemRoots(mode);
  }
}

/** Case does not matter here, alone of all words. */
function checkTlsVersions(settings: ConninfoOptions): void {
  const rank = (keyword: Keyword): number | null => {
    const value = settings.get(keyword) ?? '';
    if (value === '') return null;
    const index = TLS_VERSIONS.findIndex((one) => one.toLowerCase() === value.toLowerCase());
    if (index < 0) throw messages.badValue(keyword, `one of ${TLS_VERSIONS.join(', ')}`, value);
    return index;
  };
  const low = rank('ssl_min_protocol_version');
  const high = rank('ssl_max_protocol_version');
  if (low !== null && high !== null && low > high) {
    throw messages.emptyRange('ssl_min_protocol_version', 'ssl_max_protocol_version');
  }
}

/** "latest" is 3.2; without a maximum it is 3.0, unless the minimum is higher. */
function checkProtocolRange(settings: ConninfoOptions): void {
  const low = settings.get('min_protocol_version') || '3.0';
  const high = settings.get('max_protocol_version') || 'latest';
  if (high === '3.0' && low !== '3.0') {
    throw messages.emptyRange('min_protocol_version', 'max_protocol_version');
  }
}

/** A list of methods, all of them wanted or all of them unwanted ("!md5"), none twice. */
function checkRequireAuth(list: string): void {
  if (list === '') return;
  const methods = list.split(',');
  const rule = `a list of ${AUTH_METHODS.join(', ')}, all with "!" or all without, none of them twice`;
  const negated = methods.filter((method) => method.startsWith('!')).length;
  const names = methods.map((method) => method.replace(/^!/, ''));
  const known = names.every((name) => AUTH_METHODS.includes(name));
  const mixed = negated !== 0 && negated !== methods.length;
  if (!known || mixed || new Set(names).size !== names.length) {
    throw messages.badValue('require_auth', rule, list);
  }
}

function checkScramKey(
  keyword: 'scram_client_key' | 'scram_server_key',
  settings: ConninfoOptions,
) {
  const key = settings.get(keyword);
  if (key === undefined) return;
  const wellFormed = /^[A-Za-z0-9+/]{43}=$/.test(key);
  if (!wellFormed) throw messages.badSecret(keyword, '32 bytes in base64');
}
