// safe-text.ts: text that a worker wrote, as the postmaster may show it.
//
// Whoever reads it may be a terminal, a log or a page: no control characters, no escapes, nothing
// that turns the direction of what follows, no half a character.

/** Everything that Unicode calls "other" (C), and the two separators that end a line. */
const UNSAFE = /[\p{C}\p{Zl}\p{Zp}]/gu;

/** Each unsafe character becomes U+FFFD; the length stays. */
export function safeText(text: string): string {
  return text.replace(UNSAFE, '\u{FFFD}');
}
