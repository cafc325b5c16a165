// keyword-value.ts: reads "host=db.example dbname='my app' user = me".
//
// White space may stand around "=". A value that is empty or contains white space stands in
// single quotes; a backslash takes the next character literally, in quotes and out of them. A
// later value replaces an earlier one.

import { Collected } from './collected.ts';
import type { ConninfoOptions } from './keywords.ts';
import { messages } from './messages.ts';
import { isSpace } from './white-space.ts';

interface Piece {
  readonly text: string;
  /** Where the next piece begins. */
  readonly next: number;
}

export function parseKeywordValue(text: string): ConninfoOptions {
  const found = new Collected('the connection string');
  let at = skipSpace(text, 0);
  while (at < text.length) {
    const keyword = readKeyword(text, at);
    if (text[keyword.next] !== '=') {
      throw messages.missingEquals(keyword.text, found.mayEcho, at + 1);
    }
    const start = skipSpace(text, keyword.next + 1);
    const value = text[start] === "'" ? readQuoted(text, start + 1) : readBare(text, start);
    if (value === null) throw messages.unterminatedQuote(keyword.text, found.mayEcho);
    found.store(keyword.text, value.text);
    at = skipSpace(text, value.next);
  }
  return found.options;
}

/** Up to "=" or white space; the next piece begins behind that white space. */
function readKeyword(text: string, start: number): Piece {
  let at = start;
  while (at < text.length && text[at] !== '=' && !isSpace(text[at])) at++;
  return { text: text.slice(start, at), next: skipSpace(text, at) };
}

function readBare(text: string, start: number): Piece {
  let value = '';
  let at = start;
  while (at < text.length && !isSpace(text[at])) {
    if (text[at] === '\\') at++;
    value += text[at] ?? '';
    at++;
  }
  return { text: value, next: at };
}

/** null if the closing quote is missing. */
function readQuoted(text: string, start: number): Piece | null {
  let value = '';
  let at = start;
  while (text[at] !== "'") {
    if (text[at] === '\\') at++;
    if (at >= text.length) return null;
    value += text[at];
    at++;
  }
  return { text: value, next: at + 1 };
}

function skipSpace(text: string, start: number): number {
  let at = start;
  while (isSpace(text[at])) at++;
  return at;
}
