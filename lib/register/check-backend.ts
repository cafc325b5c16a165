// check-backend.ts: the sanity check of how connections are to be served.

import * as v from 'valibot';
import { BgworkerError } from '../errors.ts';
import * as messages from '../messages.ts';
import { type BackendRegistration, REFUSALS, type Refusal } from '../model/clients.ts';
import { NAME_MAX_BYTES } from '../model/registration.ts';
import type { KeepAliveNumbers } from '../native.ts';
import { label, oneOf, validate, wholeNumber } from './validate.ts';

/** What a backend may ask for; workers know more. */
const FLAGS = ['SHMEM_ACCESS', 'BACKEND_DATABASE_CONNECTION'] as const;

/** Whatever fits in a connection's buffer that nobody has written to yet. */
const REFUSAL_MAX_BYTES = 8192;
/** The kernel's own limits (MAX_TCP_KEEPIDLE, MAX_TCP_KEEPINTVL, MAX_TCP_KEEPCNT). */
const KEEP_ALIVE_MAX_S = 32_767;
const KEEP_ALIVE_MAX_COUNT = 127;

const NAME = 'client backend';

const yesOrNo = (otherwise: boolean) => v.optional(v.boolean('must be true or false'), otherwise);

const KEEP_ALIVE_RULE = 'must be true, false or { idle, interval, count }';

const keepAliveNumbers = v.strictObject(
  {
    idle: v.optional(wholeNumber('seconds', 1, KEEP_ALIVE_MAX_S)),
    interval: v.optional(wholeNumber('seconds', 1, KEEP_ALIVE_MAX_S)),
    count: v.optional(wholeNumber('', 1, KEEP_ALIVE_MAX_COUNT)),
  },
  KEEP_ALIVE_RULE,
);

/** By what it is, not by what fits: what does not fit is then named. */
const keepAlive = v.lazy((input) =>
  typeof input === 'object' && input !== null ? keepAliveNumbers : v.boolean(KEEP_ALIVE_RULE),
);

const REFUSAL_RULE = `must be a text or bytes, at most ${REFUSAL_MAX_BYTES} of them`;

const refusal = v.optional(
  v.pipe(
    v.union([v.string(), v.instance(Uint8Array)], REFUSAL_RULE),
    v.check((words) => Buffer.byteLength(words) <= REFUSAL_MAX_BYTES, REFUSAL_RULE),
  ),
);

const schema = v.strictObject(
  {
    flags: v.optional(v.array(oneOf(FLAGS), `must be a list of ${FLAGS.join(' and ')}`), []),
    launch: v.optional(oneOf(['fork', 'exec'])),
    database: v.optional(label(NAME_MAX_BYTES)),
    user: v.optional(label(NAME_MAX_BYTES)),
    allowInHotStandby: yesOrNo(true),
    allowHalfOpen: yesOrNo(false),
    noDelay: yesOrNo(true),
    keepAlive: v.optional(keepAlive, true),
    refusals: v.optional(
      v.strictObject(
        {
          startingUp: refusal,
          inRecovery: refusal,
          shuttingDown: refusal,
          tooMany: refusal,
          cannotFork: refusal,
        },
        `must be texts by reason: ${REFUSALS.join(', ')}`,
      ),
      {},
    ),
  },
  'must be an object',
);

/**
 * `main` as typeof says.
 *
 * @throws BgworkerError ERR_INVALID_REGISTRATION
 */
export function checkBackend(main: string, input: unknown): BackendRegistration {
  const subject = messages.BACKEND_SUBJECT;
  if (main !== 'function') {
    const sentence = `${subject}: main ${messages.mainMissing}, got ${main}`;
    throw new BgworkerError('ERR_INVALID_REGISTRATION', sentence);
  }
  const options = validate(schema, input ?? {}, subject, 'ERR_INVALID_REGISTRATION');
  const { flags } = options;
  if (flags.includes('BACKEND_DATABASE_CONNECTION') && !flags.includes('SHMEM_ACCESS')) {
    const rule = messages.databaseNeedsSharedMemory;
    const sentence = messages.invalidOption(subject, 'flags', rule, flags);
    throw new BgworkerError('ERR_INVALID_REGISTRATION', sentence);
  }
  return {
    name: NAME,
    type: NAME,
    flags: [...new Set(flags)],
    launch: options.launch ?? null,
    database: options.database ?? null,
    user: options.user ?? null,
    allowInHotStandby: options.allowInHotStandby,
    allowHalfOpen: options.allowHalfOpen,
    noDelay: options.noDelay,
    keepAlive: numbersOf(options.keepAlive),
    refusals: refusalsOf(options.refusals),
  };
}

type Given = v.InferOutput<typeof schema>;

function numbersOf(given: Given['keepAlive']): KeepAliveNumbers | null {
  if (given === false) return null;
  const { idle = null, interval = null, count = null } = given === true ? {} : given;
  return { idle, interval, count };
}

function refusalsOf(given: Given['refusals']): BackendRegistration['refusals'] {
  const words = (reason: Refusal): [Refusal, Uint8Array] => {
    const chosen = given[reason] ?? messages.DEFAULT_REFUSALS[reason];
    return [reason, typeof chosen === 'string' ? Buffer.from(chosen) : chosen];
  };
  return Object.fromEntries(REFUSALS.map(words)) as Record<Refusal, Uint8Array>;
}
