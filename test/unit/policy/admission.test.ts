// Who is let in: phase × what is under way × how many there are × reserved or not, without a hole.

import { describe, expect, test } from 'vitest';
import type { Refusal } from '../../../lib/model/clients.ts';
import { PHASES, type Phase } from '../../../lib/model/phase.ts';
import { SHUTDOWN_MODES, type State } from '../../../lib/model/state.ts';
import { admit } from '../../../lib/schedule/admission.ts';
import { up } from './make.ts';
import { backendRegistration, CLIENT_LIMITS, clients } from './make-clients.ts';

/** What is under way, or missing. */
const SITUATIONS = {
  nothing: {},
  'smart, waiting': { clients: clients([], { smartSince: 5 }) },
  smart: { shutdown: { mode: 'smart', since: 5 } },
  fast: { shutdown: { mode: 'fast', since: 5 } },
  immediate: { shutdown: { mode: 'immediate', since: 5 } },
  crash: { crash: { kind: 'ending', since: 5 } },
  'crash and smart, waiting': {
    crash: { kind: 'ending', since: 5 },
    clients: clients([], { smartSince: 5 }),
  },
  'crash and fast': { crash: { kind: 'ending', since: 5 }, shutdown: { mode: 'fast', since: 5 } },
  'not in hot standby': {
    clients: clients([], { registration: backendRegistration({ allowInHotStandby: false }) }),
  },
  'no launcher': { launcher: { kind: 'absent' } },
  'launcher starting': { launcher: { kind: 'starting' } },
  'launcher ending': { launcher: { kind: 'ending' } },
  'launcher failed': { launcher: { kind: 'failed' } },
  'memory raw': { memory: 'raw' },
  'memory initializing': { memory: 'initializing' },
  'nobody announced': { clients: clients([], { registration: null }) },
} as const satisfies Record<string, Partial<State>>;

type Situation = keyof typeof SITUATIONS;

const ALL_ENDS = ['smart, waiting', 'smart', 'fast', 'immediate'] as const;

/** `-`: let in, if there is a place; else the reason, in short. */
const SHORT: Readonly<Record<string, Refusal | null>> = {
  '-': null,
  up: 'startingUp',
  rec: 'inRecovery',
  down: 'shuttingDown',
};

const TABLE: Readonly<Record<Situation, string>> = {
  //                           INIT STARTUP RECOVERY HOT_STANDBY RUN  STOP WAIT XLOG NO_CHILDREN
  nothing: '                   up   up      rec      -           -    up   up   up   up',
  'smart, waiting': '          down down    down     down        down down down down down',
  smart: '                     down down    down     down        down down down down down',
  fast: '                      down down    down     down        down down down down down',
  immediate: '                 down down    down     down        down down down down down',
  crash: '                     rec  rec     rec      rec         rec  rec  rec  rec  rec',
  'crash and smart, waiting': 'down down    down     down        down down down down down',
  'crash and fast': '          down down    down     down        down down down down down',
  'not in hot standby': '      up   up      rec      rec         -    up   up   up   up',
  'no launcher': '             up   up      rec      up          up   up   up   up   up',
  'launcher starting': '       up   up      rec      up          up   up   up   up   up',
  'launcher ending': '         up   up      rec      up          up   up   up   up   up',
  'launcher failed': '         up   up      rec      up          up   up   up   up   up',
  'memory raw': '              up   up      rec      up          up   up   up   up   up',
  'memory initializing': '     up   up      rec      up          up   up   up   up   up',
  'nobody announced': '        up   up      rec      up          up   up   up   up   up',
};

const { maxConnections, reservedConnections } = CLIENT_LIMITS;
const COUNTS = Array.from({ length: maxConnections + 2 }, (_, served) => served);

function cell(situation: Situation, phase: Phase): Refusal | null {
  const word = TABLE[situation].trim().split(/ +/)[PHASES.indexOf(phase)] ?? 'a hole';
  const reason = SHORT[word];
  if (reason === undefined) throw new Error(`${situation} × ${phase}: ${word}`);
  return reason;
}

test('the table has no hole', () => {
  for (const row of Object.values(TABLE))
    expect(row.trim().split(/ +/)).toHaveLength(PHASES.length);
  for (const mode of SHUTDOWN_MODES) expect(ALL_ENDS).toContain(mode);
});

const CELLS = (Object.keys(TABLE) as Situation[]).flatMap((situation) =>
  PHASES.map((phase) => ({ situation, phase })),
);

describe.each(CELLS)('$situation × $phase', ({ situation, phase }) => {
  const closed = cell(situation, phase);
  const state = up([], { clients: clients(), ...SITUATIONS[situation], phase });

  test.each(COUNTS)('%i are served', (served) => {
    for (const isReserved of [false, true]) {
      const places = isReserved ? maxConnections : maxConnections - reservedConnections;
      const wanted = closed ?? (served < places ? null : 'tooMany');
      expect(admit(state, isReserved, served)).toBe(wanted);
    }
  });
});
