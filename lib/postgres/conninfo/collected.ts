// collected.ts: what a parser has found so far.
//
// It knows the two things that both notations share: unknown words are refused, and "requiressl",
// the name of before 2003, means sslmode. It also remembers whether a password has been read that
// may have ended too early, so that what follows it is not repeated in an error.

import { isKeyword, isSecret, type Keyword } from './keywords.ts';
import { messages } from './messages.ts';

export class Collected {
  readonly options = new Map<Keyword, string>();
  /** False once a word may be the tail of a password. */
  mayEcho = true;
  readonly #where: string;

  constructor(where: string) {
    this.#where = where;
  }

  /** The last one wins, as in libpq. */
  store(word: string, value: string): void {
    if (word === 'requiressl') {
      this.options.set('sslmode', value.startsWith('1') ? 'require' : 'prefer');
      return;
    }
    if (!isKeyword(word)) throw messages.unknownKeyword(word, this.mayEcho, this.#where);
    this.options.set(word, value);
    if (isSecret(word)) this.mayEcho = false;
  }
}
