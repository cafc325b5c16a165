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
 * @throws BgworkerError with the first problem; an option that does not exist comes before all
 * others, because whoever misspells an option has also left one out
 */
export function validate<const S extends ObjectSchema>(
  schema: S,
  input: unknown,
  subject: string,
  code: ErrorCode,
): v.InferOutput<S> {
  const result = v.safeParse(schema, input);
  if (result.success) return result.output;
  const issue = result.issues.find(isOfUnknownOption) ?? result.issues[0];
  throw new BgworkerError(code, sentence(issue, schema, subject));
}

type Issue = v.BaseIssue<unknown>;

function isOfUnknownOption(issue: Issue): boolean {
  return issue.type === 'strict_object' && issue.expected === 'never';
}

function sentence(issue: Issue, schema: ObjectSchema, subject: string): string {
  const path = issue.path?.map((item) => String(item.key)).join('.') ?? 'options';
  const known = isOfKey(issue) ? entriesAround(issue, schema) : {};
  if (isOfUnknownOption(issue)) {
    const parent = path.slice(0, path.lastIndexOf('.') + 1);
    return unknownOption(
      subject,
      path,
      Object.keys(known).map((one) => parent + one),
    );
  }
  const missing = known[String(issue.path?.at(-1)?.key)];
  const rule = missing === undefined ? issue.message : ruleOf(missing, issue.message);
  // A URL shows itself as a dozen fields.
  const got = issue.input instanceof URL ? String(issue.input) : issue.input;
  return invalidOption(subject, path, rule, got);
}

/** Is it the object's complaint about one of its keys: one too many, or one that is missing? */
function isOfKey({ type, path }: Issue): boolean {
  return type === 'strict_object' && path?.at(-1)?.origin === 'key';
}

/** What valibot's schemas show of themselves, as far as it is needed to find one by its path. */
type Node = v.GenericSchema & {
  readonly entries?: Readonly<Record<string, Node>>;
  readonly wrapped?: Node;
  /** Of a list. */
  readonly item?: Node;
  getter?(input: unknown): Node;
};

/** The entries of the object in which the last step of the issue's path stands. */
function entriesAround({ path = [] as never }: Issue, schema: ObjectSchema) {
  let node = schema as Node;
  for (const step of path.slice(0, -1)) {
    node = bare(node.entries?.[String(step.key)] ?? node.item ?? node, step.value);
  }
  return node.entries ?? {};
}

function bare(node: Node, value: unknown): Node {
  if (node.wrapped !== undefined) return bare(node.wrapped, value);
  return node.getter === undefined ? node : bare(node.getter(value), value);
}

/** A key that is missing is the object's complaint; the rule is in the words of its own entry. */
function ruleOf(entry: Node, otherwise: string): string {
  return v.safeParse(entry, undefined).issues?.[0].message ?? otherwise;
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
