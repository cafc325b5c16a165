// uri.ts: reads postgresql://user:password@host1:5432,[::1]:5433/dbname?keyword=value&…
//
// Every part may be absent, and every part may be percent-encoded; a Unix socket directory as a
// host has to be (%2Fvar%2Frun). Hosts and ports become comma-separated lists, exactly as if
// "host" and "port" had been given: what they must satisfy is decided later, in hosts.ts.

import { Collected } from './collected.ts';
import type { ConninfoOptions } from './keywords.ts';
import { messages } from './messages.ts';
import { percentDecode } from './percent.ts';

const SCHEME = /^postgres(?:ql)?:\/\//;

export function isUri(text: string): boolean {
  return SCHEME.test(text);
}

export function parseUri(text: string): ConninfoOptions {
  const found = new Collected('the URI');
  let at = SCHEME.exec(text)?.[0].length ?? 0;
  at = readCredentials(text, at, found);
  at = readHosts(text, at, found);
  if (text[at] === '/') at = readDatabase(text, at + 1, found);
  if (text[at] === '?') readParameters(text.slice(at + 1), found);
  return found.options;
}

/** The part before "@", if there is an "@" before the first "/". */
function readCredentials(text: string, start: number, found: Collected): number {
  const end = indexOfAny(text, '@/', start);
  if (text[end] !== '@') return start;
  const credentials = text.slice(start, end);
  const colon = credentials.indexOf(':');
  const user = colon < 0 ? credentials : credentials.slice(0, colon);
  const password = colon < 0 ? '' : credentials.slice(colon + 1);
  // An empty user or password is not the same as none: it would hide PGUSER or PGPASSWORD.
  if (user !== '') found.store('user', percentDecode(user, 'the user name'));
  if (password !== '') found.store('password', percentDecode(password, 'the password'));
  // "@" ends a password, so what follows is known not to be one, unless there is another "@".
  found.mayEcho = password === '' || !text.includes('@', end + 1);
  return end + 1;
}

function readHosts(text: string, start: number, found: Collected): number {
  const hosts: string[] = [];
  const ports: string[] = [];
  let at = start;
  for (;;) {
    const host = readHost(text, at);
    hosts.push(host.text);
    at = host.next;
    if (text[at] === ':') {
      const end = indexOfAny(text, '/?,', at + 1);
      ports.push(text.slice(at + 1, end));
      at = end;
    } else {
      ports.push('');
    }
    if (text[at] !== ',') break;
    at++;
  }
  storeList(found, 'host', hosts);
  storeList(found, 'port', ports);
  return at;
}

function readHost(text: string, start: number): { text: string; next: number } {
  if (text[start] !== '[') {
    const end = indexOfAny(text, ':/?,', start);
    return { text: text.slice(start, end), next: end };
  }
  const close = text.indexOf(']', start);
  if (close < 0) throw messages.openBracket();
  if (close === start + 1) throw messages.emptyBrackets();
  const next = close + 1;
  if (next < text.length && !':/?,'.includes(text[next] ?? ''))
    throw messages.afterBracket(next + 1);
  return { text: text.slice(start + 1, close), next };
}

function storeList(found: Collected, keyword: 'host' | 'port', list: readonly string[]): void {
  const joined = list.join(',');
  if (joined !== '') found.store(keyword, percentDecode(joined, `the ${keyword}`));
}

function readDatabase(text: string, start: number, found: Collected): number {
  const end = indexOfAny(text, '?', start);
  const database = text.slice(start, end);
  // An empty one would hide PGDATABASE.
  if (database !== '') found.store('dbname', percentDecode(database, 'the database name'));
  return end;
}

function readParameters(query: string, found: Collected): void {
  // A trailing "&" ends the list; two in a row hold an empty parameter, which is refused.
  const parameters = (query.endsWith('&') ? query.slice(0, -1) : query).split('&');
  if (query === '') return;
  for (const parameter of parameters) {
    const [word = '', value, ...more] = parameter.split('=');
    if (value === undefined) throw messages.missingParameterEquals(word, found.mayEcho);
    if (more.length > 0) throw messages.extraParameterEquals(word, found.mayEcho);
    const keyword = percentDecode(word, 'a parameter name');
    const decoded = percentDecode(value, 'the value of a parameter');
    // JDBC's spelling.
    if (keyword === 'ssl' && decoded === 'true') found.store('sslmode', 'require');
    else found.store(keyword, decoded);
  }
}

/** The first of these characters at or behind `start`, or the end of the text. */
function indexOfAny(text: string, characters: string, start: number): number {
  let at = start;
  while (at < text.length && !characters.includes(text[at] ?? '')) at++;
  return at;
}
