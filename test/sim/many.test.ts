// Five thousand workers: what the policy itself costs, with a world that costs nothing.

import { expect, test } from 'vitest';
import type { State } from '../../lib/model/state.ts';
import { Course, exit, LIMITS, registration, up, worker } from '../unit/policy/make.ts';

const COUNT = 5_000;
/** The forks themselves take 17 s. Generous, for a machine that is busy: it is to catch a square. */
const START_LIMIT_MS = 20_000;
/** All in one turn, in which nobody else is heard. */
const TURN_LIMIT_MS = 1_000;

function many(): State {
  const workers = Array.from({ length: COUNT }, (_, slot) =>
    worker({ slot, staticIndex: slot, registration: registration({ name: `w${slot}` }) }),
  );
  return up(workers, { limits: { ...LIMITS, slotCount: COUNT } });
}

function timed(what: () => void): number {
  const from = performance.now();
  what();
  return Math.round(performance.now() - from);
}

test('are started one by one, stopped together, and forgotten', { timeout: 60_000 }, () => {
  const course = new Course(many());
  const startMs = timed(() => {
    let turns = 0;
    for (;;) {
      if (++turns > 3 * COUNT) throw new Error('no end of starting');
      const fork = course.turn().actions.find((one) => one.kind === 'fork');
      if (fork === undefined) break;
      course.forked(fork.slot);
    }
  });
  for (let slot = 0; slot < COUNT; slot++) expect(course.told(slot)).toBe('running');

  const stopTurnMs = timed(() => {
    course.post({ kind: 'stop', mode: 'fast' });
    course.turn();
  });
  const reapMs = timed(() => {
    for (let slot = 0; slot < COUNT; slot++) course.exited(slot, exit(0));
  });
  const forgetMs = timed(() => course.settle());
  expect(course.state.course).toBe('done');
  const times = { startMs, stopTurnMs, reapMs, forgetMs };
  console.log(`${COUNT} workers: ${JSON.stringify(times)}`);
  expect(startMs, JSON.stringify(times)).toBeLessThan(START_LIMIT_MS);
  for (const ms of [stopTurnMs, reapMs, forgetMs]) {
    expect(ms, JSON.stringify(times)).toBeLessThan(TURN_LIMIT_MS);
  }
});
