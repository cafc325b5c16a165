// validate.ts: a schema's verdict as one sentence that names the option, the rule and the value.
//
// Each schema entry carries its rule as the message, worded to follow the option's name: "must be
// a whole number from 0 to 10". Shared by registrations and by the postmaster's own options.

import * as v from 'valibot';
import { BgworkerError, type ErrorCode } from '../errors.ts';
import { invalidOption, unknownOption } from '../messages.ts';

type ObjectSchema = v.GenericSchema & { readonly entries: Readonly<Record<string, unknown>> };

/**
 * @param subject what the sentence begins with, such as 'background worker "x"'
 * @throws BgworkerError with the first problem
 */
export function validate<const S extends ObjectSchema>(
  schema: S,
  input: unknown,
  subject: string,
  code: ErrorCode,
): v.InferOutput<S> {
  const result = v.safeParse(schema, input, { abortEarly: true });
  if (result.success) return result.output;
  throw new BgworkerError(code, sentence(result.issues[0], schema, subject));
}

function sentence(issue: v.BaseIssue<unknown>, schema: ObjectSchema, subject: string): string {
  const path = issue.path?.map((item) => String(item.key)).join('.') ?? 'options';
  if (issue.type === 'strict_object' && issue.expected === 'never') {
    return unknownOption(subject, path, Object.keys(schema.entries));
  }
  return invalidOption(subject, path, issue.message, issue.input);
}

/** A whole number within bounds, worded. */
export function wholeNumber(unit: string, low: number, high: number) {
  const rule = `must be a whole number${unit === '' ? '' : ` of ${unit}`} from ${low} to ${high}`;
  return v.pipe(v.number(rule), v.integer(rule), v.minValue(low, rule), v.maxValue(high, rule));
}

/** One of a closed list of words. */
export function oneOf<const T extends readonly [string, ...string[]]>(words: T) {
  return v.picklist(words, `must be ${words.map((word) => `'${word}'`).join(' or ')}`);
}

/** A text of at most that many bytes, with nothing in it that would break a log line. */
export function label(maxBytes: number) {
  const rule = `must be a text of 1 to ${maxBytes} bytes without control characters`;
  return v.pipe(
    v.string(rule),
    v.minLength(1, rule),
    v.maxBytes(maxBytes, rule),
    v.regex(/^[^\p{Cc}]*$/u, rule),
  );
}
