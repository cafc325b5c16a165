// A function in a transaction, against a client that answers as it is told: what is sent, what comes
// out, how often it is tried, and what is never said.

import type { Client } from 'pg';
import { describe, expect, test } from 'vitest';
import { runTransaction, type TransactionOptions } from '../../../lib/run/transaction.ts';

type Answer = 'ok' | 'rolled back' | { readonly code: string } | 'lost';

/** Answers in order; after that, 'ok'. One that is lost stays lost. */
class Stub {
  readonly sent: string[] = [];
  readonly #answers: Answer[];
  #isLost = false;

  constructor(answers: readonly Answer[] = []) {
    this.#answers = [...answers];
  }

  get client(): Client {
    return this as unknown as Client;
  }

  async query(sql: string): Promise<{ command: string }> {
    this.sent.push(sql);
    const answer = this.#isLost ? 'lost' : (this.#answers.shift() ?? 'ok');
    if (answer === 'lost') {
      this.#isLost = true;
      throw new Error('Connection terminated unexpectedly');
    }
    if (typeof answer === 'object') throw Object.assign(new Error(`no: ${answer.code}`), answer);
    return { command: answer === 'rolled back' ? 'ROLLBACK' : (sql.split(' ')[0] ?? '') };
  }
}

const SERIALIZATION = { code: '40001' } as const;
const DEADLOCK = { code: '40P01' } as const;
const DIVISION = { code: '22012' } as const;
const retry = (times: number | boolean) => ({ retrySerializationFailures: times });

/** Sends one statement; its failure is the function's. */
async function run(stub: Stub, options: TransactionOptions = {}): Promise<string> {
  try {
    return await runTransaction(
      stub.client,
      async (client) => (await client.query('WORK')).command,
      options,
    );
  } catch (error) {
    return (error as { code?: string }).code ?? (error as Error).message;
  }
}

describe('what it begins with', () => {
  const table: [TransactionOptions, string][] = [
    [{}, 'BEGIN'],
    [{ isolation: 'read committed' }, 'BEGIN ISOLATION LEVEL READ COMMITTED'],
    [{ isolation: 'repeatable read' }, 'BEGIN ISOLATION LEVEL REPEATABLE READ'],
    [{ isolation: 'serializable' }, 'BEGIN ISOLATION LEVEL SERIALIZABLE'],
    [{ readOnly: true }, 'BEGIN READ ONLY'],
    [{ readOnly: false }, 'BEGIN READ WRITE'],
    [{ deferrable: true }, 'BEGIN DEFERRABLE'],
    [{ deferrable: false }, 'BEGIN NOT DEFERRABLE'],
    [
      { isolation: 'serializable', readOnly: true, deferrable: true },
      'BEGIN ISOLATION LEVEL SERIALIZABLE READ ONLY DEFERRABLE',
    ],
  ];
  test.each(table)('%o: %s', async (options, begin) => {
    const stub = new Stub();
    expect(await run(stub, options)).toBe('WORK');
    expect(stub.sent).toEqual([begin, 'WORK', 'COMMIT']);
  });
});

describe('what becomes of it', () => {
  const once = ['BEGIN', 'WORK', 'ROLLBACK'];
  const done = ['BEGIN', 'WORK', 'COMMIT'];
  type Row = [
    what: string,
    answers: Answer[],
    options: TransactionOptions,
    outcome: string,
    sent: string[],
  ];
  const table: Row[] = [
    ['a statement fails', ['ok', DIVISION], {}, '22012', once],
    ['it could be tried again, and nobody asked', ['ok', SERIALIZATION], {}, '40001', once],
    ['tried again, and it works', ['ok', SERIALIZATION], retry(1), 'WORK', [...once, ...done]],
    ['a deadlock, the same', ['ok', DEADLOCK], retry(1), 'WORK', [...once, ...done]],
    [
      'it fails more often than it may',
      ['ok', SERIALIZATION, 'ok', 'ok', DEADLOCK],
      retry(1),
      '40P01',
      [...once, ...once],
    ],
    [
      'as often as it takes',
      ['ok', SERIALIZATION, 'ok', 'ok', DEADLOCK, 'ok', 'ok', SERIALIZATION, 'ok'],
      retry(true),
      'WORK',
      [...once, ...once, ...once, ...done],
    ],
    ['retry false is none', ['ok', SERIALIZATION], retry(false), '40001', once],
    ['another failure is not tried again', ['ok', DIVISION], retry(true), '22012', once],
    [
      'the commit fails: the session is asked whether it is out, and it is tried again',
      ['ok', 'ok', SERIALIZATION],
      retry(1),
      'WORK',
      [...done, 'ROLLBACK', ...done],
    ],
    ['the commit is refused', ['ok', 'ok', { code: '23503' }], {}, '23503', [...done, 'ROLLBACK']],
    [
      'the commit answers that it rolled back',
      ['ok', 'ok', 'rolled back'],
      retry(true),
      'ERR_TRANSACTION_ABORTED',
      done,
    ],
    [
      'the connection is lost in it',
      ['ok', 'lost'],
      retry(true),
      'Connection terminated unexpectedly',
      once,
    ],
    [
      'the connection is lost at its commit: nobody knows',
      ['ok', 'ok', 'lost'],
      retry(true),
      'ERR_COMMIT_UNKNOWN',
      [...done, 'ROLLBACK'],
    ],
    ['it cannot begin', [{ code: '25006' }], retry(true), '25006', ['BEGIN']],
  ];
  test.each(table)('%s', async (_what, answers, options, outcome, sent) => {
    const stub = new Stub(answers);
    expect(await run(stub, options)).toBe(outcome);
    expect(stub.sent).toEqual(sent);
  });

  test('what the function throws by itself rolls back, and is what is thrown', async () => {
    const stub = new Stub();
    const mine = new Error('mine');
    const thrown = runTransaction(stub.client, () => Promise.reject(mine), {});
    await expect(thrown).rejects.toBe(mine);
    expect(stub.sent).toEqual(['BEGIN', 'ROLLBACK']);
  });

  test('a signal: before it, in it, and between two tries', async () => {
    const reason = new Error('enough');
    const stub = new Stub();
    const before = { signal: AbortSignal.abort(reason) };
    await expect(runTransaction(stub.client, () => 1, before)).rejects.toBe(reason);
    expect(stub.sent).toEqual([]);
    const during = new AbortController();
    const body = () => during.abort(reason);
    await expect(runTransaction(stub.client, body, { signal: during.signal })).rejects.toBe(reason);
    expect(stub.sent).toEqual(['BEGIN', 'ROLLBACK']);
    const between = new AbortController();
    const failing = new Stub(['ok', SERIALIZATION]);
    setImmediate(() => between.abort(reason));
    const options = { ...retry(true), signal: between.signal };
    const endless = runTransaction(
      failing.client,
      async (client) => {
        await client.query('WORK').catch((error: unknown) => {
          throw Object.assign(error as Error, SERIALIZATION);
        });
        throw Object.assign(new Error('no'), SERIALIZATION);
      },
      options,
    );
    await expect(endless).rejects.toBe(reason);
    expect(failing.sent.at(-1)).toBe('ROLLBACK');
  });
});

describe('what it does not take', () => {
  const bad: [string, object, string][] = [
    [
      'isolation',
      { isolation: 'chaos' },
      "must be 'read committed' or 'repeatable read' or 'serializable'",
    ],
    ['readOnly', { readOnly: 1 }, 'must be true or false'],
    ['deferrable', { deferrable: 'yes' }, 'must be true or false'],
    ['retrySerializationFailures', retry(-1), 'must be true, false or a whole number'],
    ['retrySerializationFailures', retry(1.5), 'must be true, false or a whole number'],
  ];
  test.each(bad)('%s: %o', async (field, options, rule) => {
    const stub = new Stub();
    await expect(runTransaction(stub.client, () => 1, options)).rejects.toMatchObject({
      code: 'ERR_INVALID_OPTION',
      message: expect.stringContaining(`transaction(): ${field} ${rule}, got `),
    });
    expect(stub.sent).toEqual([]);
  });
});
