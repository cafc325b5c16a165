// What connect() may be told of the session, and what becomes of it on its way to the server.

import { describe, expect, test } from 'vitest';
import { BgworkerError } from '../../lib/errors.ts';
import { type SessionOptions, settingsOf } from '../../lib/postgres/connect/session-options.ts';

test('each option is a setting of PostgreSQL’s, and what nobody said is not sent', () => {
  const table: [SessionOptions, object][] = [
    [{}, {}],
    [{ statementTimeoutMs: 5000 }, { statement_timeout: '5000' }],
    [{ lockTimeoutMs: 1 }, { lock_timeout: '1' }],
    [{ idleInTransactionTimeoutMs: 0 }, { idle_in_transaction_session_timeout: '0' }],
    [{ idleTimeoutMs: 2_147_483_647 }, { idle_session_timeout: '2147483647' }],
    [{ settings: { search_path: 'app, public' } }, { search_path: 'app, public' }],
    [{ settings: { 'my.own$1': '' } }, { 'my.own$1': '' }],
    // The option is meant more than the setting of the same name.
    [{ statementTimeoutMs: 1, settings: { statement_timeout: '2' } }, { statement_timeout: '1' }],
  ];
  for (const [options, settings] of table) expect(settingsOf(options)).toEqual(settings);
});

describe('refused', () => {
  const RULE = 'must be a whole number of milliseconds from 0 to 2147483647';
  const bad: [object, string][] = [
    [{ statementTimeoutMs: -1 }, `statementTimeoutMs ${RULE}`],
    [{ statementTimeoutMs: '5s' }, `statementTimeoutMs ${RULE}`],
    [{ lockTimeoutMs: 1.5 }, `lockTimeoutMs ${RULE}`],
    [{ idleTimeoutMs: 2 ** 31 }, `idleTimeoutMs ${RULE}`],
    [{ settings: { 'a b': '1' } }, 'settings.a b must be the name of a PostgreSQL setting'],
    [{ settings: { work_mem: 5 } }, 'settings.work_mem must be a text without a NUL'],
    [{ settings: { work_mem: 'a\0' } }, 'settings.work_mem must be a text without a NUL'],
    ...['user', 'database', 'options', 'replication', 'Client_Encoding', 'application_name'].map(
      (name): [object, string] => [
        { settings: { [name]: 'x' } },
        `settings.${name} cannot be given here`,
      ],
    ),
  ];
  test.each(bad)('%o', (options, sentence) => {
    let thrown: unknown;
    try {
      settingsOf(options);
    } catch (error) {
      thrown = error;
    }
    expect(thrown).toBeInstanceOf(BgworkerError);
    expect(thrown).toMatchObject({ code: 'ERR_INVALID_OPTION' });
    expect((thrown as Error).message).toContain(`connect(): ${sentence}`);
  });
});
