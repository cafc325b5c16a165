// A million turns of the policy in a world in which everything goes wrong, on a virtual clock.
//
//     SIM_SEED=42 npx vitest run test/sim         one life again, with its last events
//     SIM_TURNS=20000000 npx vitest run test/sim  longer

import { expect, test } from 'vitest';
import type { Event } from '../../lib/model/event.ts';
import { Life } from './run.ts';

const TURNS = Number(process.env.SIM_TURNS ?? 1_000_000);
const ONLY = process.env.SIM_SEED;

function live(seed: number) {
  try {
    return new Life(seed).run();
  } catch (error) {
    throw new Error(`seed ${seed}: ${(error as Error).message}`, { cause: error });
  }
}

test(`${TURNS} turns, and no rule is broken`, { timeout: 60_000 + TURNS / 10 }, () => {
  const counts = new Map<string, number>();
  let turns = 0;
  let lives = 0;
  for (let seed = Number(ONLY ?? 1); turns < TURNS; seed++) {
    const life = live(seed);
    turns += life.turns;
    lives++;
    for (const [kind, count] of life.counts) counts.set(kind, (counts.get(kind) ?? 0) + count);
    if (ONLY !== undefined) return;
  }
  // Everything that can happen has happened often, or this has shown nothing.
  const rare: Event['kind'][] = [
    'listen-failed',
    'lock-file-lost',
    'database-refused',
    'launcher-failed',
  ];
  for (const kind of rare) expect(counts.get(kind) ?? 0, kind).toBeGreaterThan(5);
  const common = [
    'connected',
    'backend-forked',
    'backend-not-forked',
    'backend-exited',
    'handed-over',
    'exited',
    'forked',
    'up',
    'fork-failed',
    'launcher-exited',
    'registered',
    'terminate',
    'database',
    'startup-started',
    'startup-consistent',
    'startup-exited',
  ];
  const done = [
    'fork',
    'end-worker',
    'end-server',
    'reset-memory',
    'initialize-memory',
    'start-startup-process',
    'forget',
    'reload',
    'enter',
    'listen',
    'accept-connections',
    'refuse',
    'fork-backend',
    'hand-over',
    'end-backend',
  ];
  // Only while it is at work, which is soon over.
  expect(counts.get('done: end-startup-process') ?? 0).toBeGreaterThan(100);
  for (const kind of [...common, ...done.map((one) => `done: ${one}`)]) {
    expect(counts.get(kind) ?? 0, kind).toBeGreaterThan(1_000);
  }
  expect(lives).toBeGreaterThan(100);
});
