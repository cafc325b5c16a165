// Where a worker goes, of several hosts, and how patient the postmaster's own connection is.

import { describe, expect, test } from 'vitest';
import type { ServerAddress } from '../../lib/model/followed.ts';
import { processEnvironment, resolveConninfo } from '../../lib/postgres/conninfo/index.ts';
import { noLongerSuits } from '../../lib/postgres/recovery.ts';
import { targetOf } from '../../lib/postgres/target-for.ts';
import { watchful } from '../../lib/postgres/watchful.ts';

describe('the followed host comes first', () => {
  const LIST = 'user=me host=a,b,b hostaddr=1.1.1.1,,2.2.2.2 port=1,2,2';
  const table: [string, ServerAddress | null, string][] = [
    ['none is followed yet', null, 'a:1 b:2 b:2/2.2.2.2'],
    ['the first', { host: 'a', hostaddr: '1.1.1.1', port: 1 }, 'a:1 b:2 b:2/2.2.2.2'],
    ['one behind it', { host: 'b', port: 2 }, 'b:2 a:1 b:2/2.2.2.2'],
    ['one of the same name', { host: 'b', hostaddr: '2.2.2.2', port: 2 }, 'b:2/2.2.2.2 a:1 b:2'],
    ['one that is not in it any more', { host: 'c', port: 3 }, 'a:1 b:2 b:2/2.2.2.2'],
  ];
  test.each(table)('%s', (_what, server, expected) => {
    const { hosts } = targetOf({ conninfo: LIST, server }, {});
    const shown = hosts.map(({ host, hostaddr, port }) =>
      [`${host}:${port}`, host === 'b' ? hostaddr : undefined].filter(Boolean).join('/'),
    );
    expect(shown.join(' ')).toBe(expected);
  });

  test('what the caller wants is over the connection string', () => {
    const target = targetOf({ conninfo: LIST, server: null }, { database: 'app', user: 'you' });
    expect(target).toMatchObject({ database: 'app', user: 'you' });
  });
});

describe('patience', () => {
  const OURS = { idleSeconds: 10, intervalSeconds: 5, count: 3, userTimeoutMs: 25_000 };
  const table: [conninfo: string, connectTimeoutMs: number | null, keepalives: object][] = [
    ['', 10_000, { ...OURS, enabled: true }],
    ['connect_timeout=3', 3_000, { ...OURS, enabled: true }],
    ['connect_timeout=0', null, { ...OURS, enabled: true }],
    ['keepalives=0', 10_000, { ...OURS, enabled: false }],
    ['keepalives_idle=60', 10_000, { ...OURS, enabled: true, idleSeconds: 60 }],
    ['keepalives_interval=1', 10_000, { ...OURS, enabled: true, intervalSeconds: 1 }],
    ['keepalives_count=9', 10_000, { ...OURS, enabled: true, count: 9 }],
    ['tcp_user_timeout=1', 10_000, { ...OURS, enabled: true, userTimeoutMs: 1 }],
  ];
  test.each(table)('%j', (conninfo, connectTimeoutMs, keepalives) => {
    const environment = processEnvironment({});
    const target = resolveConninfo(`user=me ${conninfo}`, environment);
    expect(watchful(target)).toEqual({ ...target, connectTimeoutMs, keepalives });
  });
});

test('a promotion is the end of a standby, for who asked for one', () => {
  const words = (inRecovery: boolean) =>
    (['any', 'read-write', 'read-only', 'primary', 'standby', 'prefer-standby'] as const).map(
      (attrs) => noLongerSuits(attrs, inRecovery)?.message ?? null,
    );
  expect(words(true)).toEqual([null, null, null, null, null, null]);
  expect(words(false)).toEqual([
    ...[null, null, 'session is not read-only', null, 'server is not in hot standby mode', null],
  ]);
});
