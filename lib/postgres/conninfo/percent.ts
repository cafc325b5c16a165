// percent.ts: percent-decoding as libpq does it.
//
// Spaces around the text are dropped and spaces inside are refused. %xy are bytes; together they
// must be UTF-8, because the rest of this library speaks in JavaScript strings. (libpq passes any
// bytes on; that is the one place where we refuse what it takes.)

import { messages } from './messages.ts';

/** `part` names the piece of the URI in errors: "the host". The text itself may be a password. */
export function percentDecode(text: string, part: string): string {
  const trimmed = text.replace(/^ +/, '').replace(/ +$/, '');
  // In libpq's order, the first trouble from the left is the one that counts.
  const trouble = /%(?![0-9a-fA-F]{2})|%00| /.exec(trimmed)?.[0];
  if (trouble === '%') throw messages.badPercent(part);
  if (trouble === '%00') throw messages.percentZero(part);
  if (trouble === ' ') throw messages.percentSpaces(part);
  if (!trimmed.includes('%')) return trimmed;
  try {
    return decodeURIComponent(trimmed);
  } catch (cause) {
    if (cause instanceof URIError) throw messages.percentNotUtf8(part);
    throw cause;
  }
}
