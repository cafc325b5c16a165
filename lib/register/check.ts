// check.ts: the sanity check of a registration (SanityCheckBackgroundWorker).
//
// Options in, Registration out, or a BgworkerError that names the field, the rule and the value.
// What becomes of the error differs by path: a bad static registration is logged and dropped, a
// bad dynamic one throws in the caller.

import * as v from 'valibot';
import { BgworkerError } from '../errors.ts';
import * as messages from '../messages.ts';
import { START_TIMES } from '../model/phase.ts';
import {
  type Body,
  NAME_MAX_BYTES,
  RESTART_TIME_MAX_S,
  type Registration,
  WORKER_FLAGS,
} from '../model/registration.ts';
import { label, oneOf, validate } from './validate.ts';

/** BGW_DEFAULT_RESTART_INTERVAL, in seconds. */
const DEFAULT_RESTART_TIME_S = 60;

/** The longest path, as everywhere in the kernel (PATH_MAX). */
const PATH_MAX_BYTES = 4096;

const MODULE_FORMS = 'a file: URL, an absolute path or a package name';

/** The system takes a NUL for the end. */
const NO_NUL_RULE = 'must have no NUL character in it';

const RESTART_RULE = `must be 'never' or a whole number of seconds from 0 to ${RESTART_TIME_MAX_S}`;

function isRestartTime(value: unknown): boolean {
  if (value === 'never') return true;
  return Number.isInteger(value) && Number(value) >= 0 && Number(value) <= RESTART_TIME_MAX_S;
}

const path = (what: string) => {
  const rule = `must be ${what} of 1 to ${PATH_MAX_BYTES} bytes`;
  return v.pipe(
    v.union([v.string(), v.instance(URL)], rule),
    v.transform(String),
    v.check((text) => text !== '' && Buffer.byteLength(text) <= PATH_MAX_BYTES, rule),
    v.check((text) => !text.includes('\0'), NO_NUL_RULE),
  );
};

const argument = v.pipe(
  v.string('must be a text'),
  v.check((text) => !text.includes('\0'), NO_NUL_RULE),
);

/** In the preload module's process it is a function; from there on, what typeof said of it. */
function isFunction(value: unknown): boolean {
  return value === 'function' || typeof value === 'function';
}

const optionsSchema = v.strictObject(
  {
    name: label(NAME_MAX_BYTES),
    type: v.optional(label(NAME_MAX_BYTES)),
    flags: v.optional(
      v.array(oneOf(WORKER_FLAGS), `must be a list of ${WORKER_FLAGS.join(', ')}`),
      [],
    ),
    startTime: v.optional(oneOf(START_TIMES), 'RecoveryFinished'),
    restartTime: v.optional(
      v.custom<number | 'never'>(isRestartTime, RESTART_RULE),
      DEFAULT_RESTART_TIME_S,
    ),
    restartOnExit0: v.optional(v.boolean('must be true or false'), false),
    launch: v.optional(oneOf(['fork', 'exec'])),
    database: v.optional(label(NAME_MAX_BYTES)),
    user: v.optional(label(NAME_MAX_BYTES)),
    arg: v.optional(v.unknown()),
    main: v.optional(v.custom<unknown>(isFunction, 'must be a function')),
    module: v.optional(
      v.pipe(
        path(MODULE_FORMS),
        v.check((text) => !text.startsWith('.'), `must be ${MODULE_FORMS}, not a relative path`),
      ),
    ),
    function: v.optional(label(NAME_MAX_BYTES)),
    exec: v.optional(
      v.pipe(
        v.array(argument, 'must be a list of texts: the program, its arguments'),
        v.minLength(1, 'must name a program'),
        v.check((argv) => argv[0] !== '', 'must name a program'),
      ),
    ),
    native: v.optional(
      v.strictObject(
        { library: path('the path of a shared library'), function: label(NAME_MAX_BYTES) },
        'must have library (a path) and function (a name)',
      ),
    ),
  },
  'must be an object',
);

type Options = v.InferOutput<typeof optionsSchema>;

/** Where the registration comes from: a preload module, or a process that runs already. */
export type Origin =
  | { readonly kind: 'static'; readonly argProblem: string | null }
  | { readonly kind: 'dynamic' };

/** @throws BgworkerError ERR_INVALID_REGISTRATION */
export function checkRegistration(input: unknown, origin: Origin): Registration {
  const subject = messages.registrationSubject(nameOf(input));
  const options = validate(optionsSchema, input, subject, 'ERR_INVALID_REGISTRATION');
  const refuse = (field: keyof Options, rule: string): never => {
    const sentence = messages.invalidOption(subject, field, rule, options[field]);
    throw new BgworkerError('ERR_INVALID_REGISTRATION', sentence);
  };

  const body = bodyOf(options, subject);
  const { flags, startTime } = options;
  const wantsDatabase = flags.includes('BACKEND_DATABASE_CONNECTION');
  const wantsMemory = flags.includes('SHMEM_ACCESS');
  if (options.function !== undefined && body.kind !== 'module') {
    refuse('function', messages.functionNeedsModule);
  }
  // In PostgreSQL's order (§1.3), under the decision that shared memory is optional.
  if (body.kind === 'exec' && flags.length > 0) refuse('flags', messages.execWithoutFlags);
  if (wantsDatabase && !wantsMemory) refuse('flags', messages.databaseNeedsSharedMemory);
  if (startTime === 'PostmasterStart' && (wantsDatabase || wantsMemory)) {
    refuse('startTime', messages.postmasterStartAlone);
  }
  if (flags.includes('CLASS_PARALLEL')) {
    if (options.restartTime !== 'never') refuse('restartTime', messages.parallelNeverRestarts);
    if (options.restartOnExit0) refuse('restartOnExit0', messages.parallelStaysDone);
  }
  if (flags.includes('INTERRUPTIBLE')) {
    if (!wantsDatabase) refuse('flags', messages.interruptibleNeedsDatabase);
    if (options.restartOnExit0) refuse('restartOnExit0', messages.interruptibleIsFinal);
  }
  if (origin.kind === 'dynamic' && body.kind === 'closure')
    refuse('main', messages.closureIsStatic);
  if (origin.kind === 'static' && origin.argProblem !== null) {
    const sentence = `${subject}: arg ${messages.argCannotTravel(origin.argProblem)}`;
    throw new BgworkerError('ERR_INVALID_REGISTRATION', sentence);
  }
  return {
    name: options.name,
    type: options.type ?? options.name,
    flags: [...new Set(flags)],
    startTime,
    restartTime: options.restartTime,
    restartOnExit0: options.restartOnExit0,
    launch: options.launch ?? null,
    database: options.database ?? null,
    user: options.user ?? null,
    body,
  };
}

/** A name that can stand in a sentence; one that is too long or breaks the line cannot. */
function nameOf(input: unknown): string | undefined {
  const name = typeof input === 'object' && input !== null ? (input as Options).name : undefined;
  return v.is(optionsSchema.entries.name, name) ? name : undefined;
}

const BODY_FIELDS = ['main', 'module', 'exec', 'native'] as const;

function bodyOf(options: Options, subject: string): Body {
  const given = BODY_FIELDS.filter((field) => options[field] !== undefined);
  if (given.length !== 1) {
    throw new BgworkerError('ERR_INVALID_REGISTRATION', `${subject}: ${messages.oneBody(given)}`);
  }
  if (options.main !== undefined) return { kind: 'closure' };
  if (options.module !== undefined) {
    return { kind: 'module', module: options.module, function: options.function ?? 'main' };
  }
  if (options.exec !== undefined) return { kind: 'exec', argv: options.exec };
  return { kind: 'native', ...(options.native as { library: string; function: string }) };
}
