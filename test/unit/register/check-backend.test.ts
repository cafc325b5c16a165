// How connections are to be served: what is filled in, and the sentence for each mistake.

import { describe, expect, test } from 'vitest';
import { BgworkerError } from '../../../lib/errors.ts';
import { type BackendRegistration, REFUSALS } from '../../../lib/model/clients.ts';
import { checkBackend } from '../../../lib/register/check-backend.ts';

const check = (options?: unknown) => checkBackend('function', options);

function refusal(options: unknown, main = 'function'): string {
  try {
    checkBackend(main, options);
  } catch (error) {
    expect(error).toBeInstanceOf(BgworkerError);
    expect((error as BgworkerError).code).toBe('ERR_INVALID_REGISTRATION');
    return (error as Error).message;
  }
  throw new Error(`it was let through: ${JSON.stringify(options)}`);
}

const NUMBERS = { idle: null, interval: null, count: null };

const DEFAULTS: Omit<BackendRegistration, 'refusals'> = {
  name: 'client backend',
  type: 'client backend',
  flags: [],
  launch: null,
  database: null,
  user: null,
  allowInHotStandby: true,
  allowHalfOpen: false,
  noDelay: true,
  keepAlive: NUMBERS,
};

test('what nobody said is filled in', () => {
  for (const given of [undefined, {}]) {
    const { refusals, ...rest } = check(given);
    expect(rest).toEqual(DEFAULTS);
    expect(Object.keys(refusals).sort()).toEqual([...REFUSALS].sort());
    // A line each, for who looks at it with his own eyes.
    for (const words of Object.values(refusals)) {
      expect(Buffer.from(words).toString()).toMatch(/^[a-z ,]+\n$/);
    }
  }
});

describe('let through', () => {
  const cases: [given: object, become: object][] = [
    [{ flags: ['SHMEM_ACCESS', 'SHMEM_ACCESS'] }, { flags: ['SHMEM_ACCESS'] }],
    [
      { flags: ['SHMEM_ACCESS', 'BACKEND_DATABASE_CONNECTION'], database: 'app', user: 'me' },
      { flags: ['SHMEM_ACCESS', 'BACKEND_DATABASE_CONNECTION'], database: 'app', user: 'me' },
    ],
    [{ launch: 'exec' }, { launch: 'exec' }],
    [{ allowInHotStandby: false }, { allowInHotStandby: false }],
    [{ allowHalfOpen: true }, { allowHalfOpen: true }],
    [{ noDelay: false }, { noDelay: false }],
    [{ keepAlive: false }, { keepAlive: null }],
    [{ keepAlive: true }, { keepAlive: NUMBERS }],
    [{ keepAlive: {} }, { keepAlive: NUMBERS }],
    [{ keepAlive: { idle: 32_767 } }, { keepAlive: { ...NUMBERS, idle: 32_767 } }],
    [
      { keepAlive: { idle: 1, interval: 2, count: 127 } },
      { keepAlive: { idle: 1, interval: 2, count: 127 } },
    ],
  ];
  test.each(cases)('%o', (given, become) => {
    expect(check(given)).toMatchObject({ ...DEFAULTS, ...become });
  });

  test('words as texts and as bytes, also none; the rest stays', () => {
    const bytes = new Uint8Array([0, 255]);
    const { refusals } = check({
      refusals: { tooMany: bytes, startingUp: 'bald wieder da: ü', shuttingDown: '' },
    });
    expect(refusals.tooMany).toEqual(bytes);
    expect(Buffer.from(refusals.startingUp).toString()).toBe('bald wieder da: ü');
    expect(refusals.shuttingDown).toHaveLength(0);
    expect(refusals.inRecovery).toEqual(check().refusals.inRecovery);
    expect(check({ refusals: { tooMany: 'x'.repeat(8192) } }).refusals.tooMany).toHaveLength(8192);
  });
});

describe('refused, with the field, the rule and the value', () => {
  const SECONDS = 'must be a whole number of seconds from 1 to 32767';
  const WORDS = 'must be a text or bytes, at most 8192 of them';
  const cases: [given: unknown, sentence: string][] = [
    [7, 'options must be an object, got 7'],
    [
      { flags: ['SHMEM'] },
      "flags.0 must be 'SHMEM_ACCESS' or 'BACKEND_DATABASE_CONNECTION', got 'SHMEM'",
    ],
    [{ launch: 'spawn' }, "launch must be 'fork' or 'exec', got 'spawn'"],
    [{ noDelay: 1 }, 'noDelay must be true or false, got 1'],
    [{ keepAlive: 30 }, 'keepAlive must be true, false or { idle, interval, count }, got 30'],
    [{ keepAlive: { idle: 0 } }, `keepAlive.idle ${SECONDS}, got 0`],
    [{ keepAlive: { interval: 32_768 } }, `keepAlive.interval ${SECONDS}, got 32768`],
    [
      { keepAlive: { count: 128 } },
      'keepAlive.count must be a whole number from 1 to 127, got 128',
    ],
    [
      { refusals: 'no' },
      "refusals must be texts by reason: startingUp, inRecovery, shuttingDown, tooMany, cannotFork, got 'no'",
    ],
    [{ refusals: { tooMany: 503 } }, `refusals.tooMany ${WORDS}, got 503`],
  ];
  test.each(cases)('%o', (given, sentence) => {
    expect(refusal(given)).toBe(`registerBackend(): ${sentence}`);
  });

  test('words that are too many', () => {
    expect(refusal({ refusals: { tooMany: 'ü'.repeat(4097) } })).toContain(WORDS);
  });

  test('a database without shared memory', () => {
    expect(refusal({ flags: ['BACKEND_DATABASE_CONNECTION'] })).toMatch(
      /^registerBackend\(\): flags must include SHMEM_ACCESS for BACKEND_DATABASE_CONNECTION/,
    );
  });

  test('a main that is no function', () => {
    expect(refusal({}, 'undefined')).toBe(
      'registerBackend(): main must be a function: registerBackend(main, options), got undefined',
    );
  });

  test('an option that does not exist', () => {
    expect(refusal({ nodelay: true })).toMatch(
      /there is no option "nodelay"; did you mean "noDelay"\?/,
    );
    expect(refusal({ refusals: { tooFew: '' } })).toMatch(
      /there is no option "refusals\.tooFew"; (did you mean|the options are)/,
    );
  });
});
