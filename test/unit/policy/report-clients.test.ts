// What is logged of clients, at which level, and what listeners are told of them.

import { describe, expect, test } from 'vitest';
import { clientNews } from '../../../lib/changes.ts';
import type { Event } from '../../../lib/model/event.ts';
import type { State } from '../../../lib/model/state.ts';
import { apply } from '../../../lib/react/apply.ts';
import { report } from '../../../lib/report.ts';
import { exit, STANDINGS } from './make.ts';
import { arrival, attachedBackend, backend, client, serving, spare } from './make-clients.ts';

const CHILD = 0x4000_0000;
const PEER = '127.0.0.1(1000)';
const local = { kind: 'local', pid: 7, uid: 0, gid: 0 } as const;
const forking = { standing: { kind: 'forking', child: CHILD } } as const;

function lines(event: Event, before: State): string[] {
  const after = apply(before, { at: 10, event });
  return report(event, before, after).map(({ level, text }) => `${level} ${text}`);
}

const exited = (how: Parameters<typeof exit>[0], clean = true): Event => ({
  kind: 'backend-exited',
  place: 0,
  child: CHILD,
  exit: exit(how, clean),
});
const notForked: Event = {
  kind: 'backend-not-forked',
  place: 0,
  child: CHILD,
  call: 'fork',
  why: 'EAGAIN',
};
const refuse = (connection: number): Event => ({
  kind: 'done',
  action: { kind: 'refuse', connection, reason: 'tooMany' },
});
const told = backend(0, { standing: { ...STANDINGS.SIGTERM, child: CHILD, pid: 2_000 } });

const TABLE: [what: string, event: Event, before: State, lines: string[]][] = [
  [
    'a connection',
    { kind: 'connected', connection: 1, peer: client(1).peer, isReserved: false },
    serving(),
    ['debug connection received: 127.0.0.1(1)'],
  ],
  [
    'a local one',
    { kind: 'connected', connection: 1, peer: local, isReserved: false },
    serving(),
    ['debug connection received: [local]'],
  ],
  [
    'the first that is refused',
    refuse(5),
    serving([], { arrivals: [arrival(5)] }),
    [
      'info connection refused: 127.0.0.1(5): too many clients already; consider raising maxConnections',
    ],
  ],
  [
    'one more that is, for the same reason',
    refuse(5),
    serving([], { arrivals: [arrival(5)], refusing: 'tooMany' }),
    [
      'debug connection refused: 127.0.0.1(5): too many clients already; consider raising maxConnections',
    ],
  ],
  [
    'one more, for another',
    refuse(5),
    serving([], { arrivals: [arrival(5)], refusing: 'startingUp' }),
    [
      'info connection refused: 127.0.0.1(5): too many clients already; consider raising maxConnections',
    ],
  ],
  ['nobody that is refused', refuse(6), serving([], { arrivals: [arrival(5)] }), []],
  [
    'a fork that failed',
    notForked,
    serving([backend(0, forking)]),
    [`error could not start a process for connection ${PEER}: fork: EAGAIN`],
  ],
  [
    'a fork of a spare one that failed',
    notForked,
    serving([spare(0, forking)]),
    ['error could not start a process for a spare backend: fork: EAGAIN'],
  ],
  [
    'exit 0',
    exited(0),
    serving([backend(0)]),
    [`debug client backend of ${PEER} (PID 2000) exited with exit code 0`],
  ],
  [
    'exit 1, which has said itself why',
    exited(1),
    serving([backend(0)]),
    [`debug client backend of ${PEER} (PID 2000) exited with exit code 1`],
  ],
  [
    'a signal',
    exited('SIGSEGV'),
    serving([backend(0)]),
    [`info client backend of ${PEER} (PID 2000) was terminated by signal SIGSEGV`],
  ],
  [
    'a spare one that dies',
    exited('SIGKILL'),
    serving([spare(0)]),
    ['info spare backend (PID 2000) was terminated by signal SIGKILL'],
  ],
  [
    'a crash',
    exited('SIGSEGV', false),
    serving([backend(0, { registration: attachedBackend })]),
    [
      `info client backend of ${PEER} (PID 2000) was terminated by signal SIGSEGV`,
      'warn terminating any other active worker processes',
    ],
  ],
  [
    'one that was told to end',
    exited('SIGTERM'),
    serving([told]),
    [`debug client backend of ${PEER} (PID 2000) was terminated by signal SIGTERM`],
  ],
  [
    'one that went down with a crash',
    exited(2, false),
    serving([backend(0)], {}, { crash: { kind: 'ending', since: 0 } }),
    [`debug client backend of ${PEER} (PID 2000) exited with exit code 2`],
  ],
  ['an exit of an earlier child', { ...exited(1), child: 5 } as Event, serving([backend(0)]), []],
  ['an exit from an empty place', exited(1), serving(), []],
  [
    'a smart shutdown that waits',
    { kind: 'stop', mode: 'smart' },
    serving([backend(0)]),
    [
      'info received smart shutdown request',
      'info smart shutdown: no new connections; the shutdown begins when the last client has left',
    ],
  ],
  ['a second one', { kind: 'stop', mode: 'smart' }, serving([backend(0)], { smartSince: 5 }), []],
  [
    'a smart shutdown that does not wait',
    { kind: 'stop', mode: 'smart' },
    serving([spare(0)]),
    ['info received smart shutdown request'],
  ],
  [
    'doors that cannot be opened',
    { kind: 'listen-failed', error: new Error('in use') },
    serving([], { listening: 'opening' }),
    ['error in use'],
  ],
];

test.each(TABLE)('%s', (_what, event, before, expected) => {
  expect(lines(event, before)).toEqual(expected);
});

describe('listeners are told', () => {
  function news(event: Event, before: State): string[] {
    const after = apply(before, { at: 10, event });
    return [...clientNews(event, before, after)].map((one) =>
      one.kind === 'refuse' ? `refuse ${one.reason}` : `${one.kind} ${one.backend.place}`,
    );
  }

  const forked: Event = { kind: 'backend-forked', place: 0, child: CHILD, pid: 5 };
  const handedOver: Event = { kind: 'handed-over', place: 0, connection: 1_000 };
  const cases: [what: string, event: Event, before: State, told: string[]][] = [
    ['a client whose backend is forked', forked, serving([backend(0, forking)]), ['connect 0']],
    ['a spare one that is forked', forked, serving([spare(0, forking)]), []],
    ['an answer that comes late', forked, serving([backend(0)]), []],
    ['a client of a spare one', handedOver, serving([backend(0)]), ['connect 0']],
    ['one that has left already', handedOver, serving(), []],
    [
      'one that has left, and another has the place',
      { ...handedOver, connection: 5 } as Event,
      serving([backend(0)]),
      [],
    ],
    ['a client that has left', exited(0), serving([backend(0)]), ['disconnect 0']],
    ['a spare one that has', exited(0), serving([spare(0)]), []],
    ['one that left long ago', { ...exited(0), child: 5 } as Event, serving([backend(0)]), []],
    [
      'a client that is refused',
      refuse(5),
      serving([], { arrivals: [arrival(5)] }),
      ['refuse tooMany'],
    ],
    ['something else', { kind: 'reload' }, serving([backend(0)]), []],
  ];
  test.each(cases)('%s', (_what, event, before, expected) => {
    expect(news(event, before)).toEqual(expected);
  });
});
