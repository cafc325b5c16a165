// What the environment says of sockets from systemd: a table, with every way in which it is not for us.

import { expect, test } from 'vitest';
import { passedDescriptors } from '../../../lib/listen/systemd.ts';

const ME = 4711;

type Env = Parameters<typeof passedDescriptors>[0];

const cases: [what: string, env: Env, passed: [descriptor: number, name: string][]][] = [
  ['nothing', {}, []],
  ['one', { LISTEN_PID: '4711', LISTEN_FDS: '1' }, [[3, 'unknown']]],
  [
    'two with names',
    { LISTEN_PID: '4711', LISTEN_FDS: '2', LISTEN_FDNAMES: 'web:admin' },
    [
      [3, 'web'],
      [4, 'admin'],
    ],
  ],
  [
    'fewer names than sockets',
    { LISTEN_PID: '4711', LISTEN_FDS: '2', LISTEN_FDNAMES: 'web' },
    [
      [3, 'web'],
      [4, 'unknown'],
    ],
  ],
  ['none of them', { LISTEN_PID: '4711', LISTEN_FDS: '0' }, []],
  ['somebody else’s', { LISTEN_PID: '1', LISTEN_FDS: '1' }, []],
  ['nobody’s', { LISTEN_FDS: '1' }, []],
  ['no number', { LISTEN_PID: '4711', LISTEN_FDS: 'two' }, []],
  ['a negative number', { LISTEN_PID: '4711', LISTEN_FDS: '-1' }, []],
  ['half a number', { LISTEN_PID: '4711', LISTEN_FDS: '1.5' }, []],
  ['no count', { LISTEN_PID: '4711' }, []],
];

test.each(cases)('%s', (_what, env, passed) => {
  expect(passedDescriptors(env, ME)).toEqual(
    passed.map(([descriptor, name]) => ({ descriptor, name })),
  );
});
