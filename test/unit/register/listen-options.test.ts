// Where a postmaster listens and whom it serves: what is filled in, and the sentence for each mistake.

import { resolve } from 'node:path';
import { describe, expect, test } from 'vitest';
import { BgworkerError } from '../../../lib/errors.ts';
import type { CheckedClients } from '../../../lib/register/listen-options.ts';
import { checkOptions } from '../../../lib/register/options.ts';

const check = (options: object) => checkOptions({ dataDirectory: '/d', ...options }).clients;

function refusal(options: object): string {
  try {
    check(options);
  } catch (error) {
    expect(error).toBeInstanceOf(BgworkerError);
    expect((error as BgworkerError).code).toBe('ERR_INVALID_OPTION');
    return (error as Error).message;
  }
  throw new Error(`it was let through: ${JSON.stringify(options)}`);
}

const COMMON = { backlog: 200, reserved: false };
const PORT = { port: 7000 };

test('nobody listens unless told to', () => {
  for (const options of [{}, { listen: [] }, { maxConnections: 5, spareBackends: 2 }]) {
    expect(check(options)).toBeNull();
  }
});

describe('let through', () => {
  const entries: [given: object, become: object][] = [
    [PORT, { ...COMMON, kind: 'inet', host: 'localhost', port: 7000 }],
    [
      { port: 0, host: '*' },
      { ...COMMON, kind: 'inet', host: '*', port: 0 },
    ],
    [
      { port: 65_535, host: '::1' },
      { ...COMMON, kind: 'inet', host: '::1', port: 65_535 },
    ],
    [
      { port: 1, backlog: 7, reserved: true },
      { kind: 'inet', host: 'localhost', port: 1, backlog: 7, reserved: true },
    ],
    [{ path: '/run/s' }, { ...COMMON, kind: 'local', path: '/run/s', mode: null }],
    [
      { path: 's', mode: 0o600 },
      { ...COMMON, kind: 'local', path: resolve('s'), mode: 0o600 },
    ],
    [
      { path: new URL('file:///run/a%20b') },
      { ...COMMON, kind: 'local', path: '/run/a b', mode: null },
    ],
    [
      { path: `/${'x'.repeat(106)}` },
      { ...COMMON, kind: 'local', path: `/${'x'.repeat(106)}`, mode: null },
    ],
    [{ systemd: true }, { kind: 'systemd', name: null, reserved: false }],
    [
      { systemd: 'web', reserved: true },
      { kind: 'systemd', name: 'web', reserved: true },
    ],
  ];
  test.each(entries)('%o', (given, become) => {
    expect(check({ listen: [given] })?.listen).toEqual([become]);
  });

  const counts: [given: object, become: Partial<CheckedClients>][] = [
    [{}, { maxConnections: 100, reservedConnections: 0, spareBackends: 0 }],
    [{ maxConnections: 1 }, { maxConnections: 1, reservedConnections: 0 }],
    [{ maxConnections: 262_143 - 8 }, { maxConnections: 262_143 - 8 }],
    [{ spareBackends: 100 }, { spareBackends: 100 }],
    [{ listen: [{ port: 1, reserved: true }] }, { reservedConnections: 3 }],
    [{ listen: [{ port: 1, reserved: true }], maxConnections: 2 }, { reservedConnections: 1 }],
    [{ listen: [{ port: 1, reserved: true }], maxConnections: 1 }, { reservedConnections: 0 }],
    [
      { listen: [{ port: 1, reserved: true }], reservedConnections: 99 },
      { reservedConnections: 99 },
    ],
  ];
  test.each(counts)('%o', (given, become) => {
    expect(check({ listen: [PORT], ...given })).toMatchObject(become);
  });

  test('the backlog is twice what is served, and never small', () => {
    for (const [maxConnections, backlog] of [
      [1, 128],
      [300, 600],
    ]) {
      expect(check({ listen: [PORT], maxConnections })?.listen).toMatchObject([{ backlog }]);
    }
  });
});

describe('refused, with the option, the rule and the value', () => {
  const FORMS =
    'must be { port, host }, { path } or { systemd: true }, each with reserved if you like';
  const PATH = 'must be the path of a socket file, of at most 107 bytes';
  const cases: [given: object, sentence: string][] = [
    [{ listen: 7000 }, 'listen must be a list of places to listen at, got 7000'],
    [{ listen: [7000] }, `listen.0 ${FORMS}, got 7000`],
    [{ listen: [null] }, `listen.0 ${FORMS}, got null`],
    [{ listen: [{}] }, 'listen.0.port must be a whole number from 0 to 65535, got undefined'],
    [
      { listen: [{ port: '7000' }] },
      "listen.0.port must be a whole number from 0 to 65535, got '7000'",
    ],
    [
      { listen: [{ port: 65_536 }] },
      'listen.0.port must be a whole number from 0 to 65535, got 65536',
    ],
    [
      { listen: [PORT, { port: -1 }] },
      'listen.1.port must be a whole number from 0 to 65535, got -1',
    ],
    [
      { listen: [{ port: 1, host: '' }] },
      "listen.0.host must be an address, a name, or '*' for all, got ''",
    ],
    [
      { listen: [{ port: 1, backlog: 0 }] },
      'listen.0.backlog must be a whole number from 1 to 2147483647, got 0',
    ],
    [{ listen: [{ port: 1, reserved: 1 }] }, 'listen.0.reserved must be true or false, got 1'],
    [{ listen: [{ path: '' }] }, `listen.0.path ${PATH}, got ''`],
    [{ listen: [{ path: 'a\0b' }] }, `listen.0.path ${PATH}, got 'a\\x00b'`],
    [{ listen: [{ path: 7 }] }, `listen.0.path ${PATH}, got 7`],
    [{ listen: [{ path: new URL('http://h/p') }] }, `listen.0.path ${PATH}, got 'http://h/p'`],
    [
      { listen: [{ path: '/s', mode: 0o1777 }] },
      'listen.0.mode must be a mode such as 0o660, from 0 to 0o777, got 1023',
    ],
    [
      { listen: [{ path: '/s', mode: '660' }] },
      "listen.0.mode must be a mode such as 0o660, from 0 to 0o777, got '660'",
    ],
    [
      { listen: [{ systemd: false }] },
      'listen.0.systemd must be true, or the FileDescriptorName of the socket unit, got false',
    ],
    [
      { listen: [{ systemd: 'a:b' }] },
      "listen.0.systemd must be true, or the FileDescriptorName of the socket unit, got 'a:b'",
    ],
    [{ maxConnections: 0 }, 'maxConnections must be a whole number from 1 to 262143, got 0'],
    [{ spareBackends: -1 }, 'spareBackends must be a whole number from 0 to 262143, got -1'],
    [{ spareBackends: 101 }, 'spareBackends must be at most maxConnections (100), got 101'],
    [
      { listen: [{ port: 1, reserved: true }], maxConnections: 5, reservedConnections: 5 },
      'reservedConnections must be less than maxConnections (5), got 5',
    ],
    [
      { listen: [PORT], reservedConnections: 1 },
      'reservedConnections must be 0 where no listener is `reserved: true`, which could use them, got 1',
    ],
  ];
  test.each(cases)('%o', (given, sentence) => {
    expect(refusal(given)).toBe(`postmaster options: ${sentence}`);
  });

  test('an option that does not exist is named, with those that do', () => {
    expect(refusal({ listen: [{ prot: 7000 }] })).toBe(
      'postmaster options: there is no option "listen.0.prot"; did you mean "listen.0.port"?',
    );
    expect(refusal({ listen: [{ path: '/s', port: 7 }] })).toMatch(
      /there is no option "listen\.0\.port"/,
    );
  });
});
