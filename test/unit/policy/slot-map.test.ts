// SlotMap against a plain Map that is copied at each change.

import { expect, test } from 'vitest';
import { SlotMap } from '../../../lib/model/slot-map.ts';
import { Random } from '../../sim/random.ts';

function same(map: SlotMap<string>, model: ReadonlyMap<number, string>): void {
  const sorted = [...model].sort(([a], [b]) => a - b);
  expect([...map]).toEqual(sorted);
  expect([...map.keys()]).toEqual(sorted.map(([slot]) => slot));
  expect([...map.values()]).toEqual(sorted.map(([, value]) => value));
  expect(map.size).toBe(model.size);
}

test('does what a Map does, and no version of it ever changes', () => {
  const random = new Random(1);
  const versions: [SlotMap<string>, ReadonlyMap<number, string>][] = [];
  let map = SlotMap.of<string>();
  let model = new Map<number, string>();
  for (let step = 0; step < 3_000; step++) {
    const slot = random.pick([0, 1, 63, 64, 65, 127, 128, 1_000, random.below(300)]);
    model = new Map(model);
    if (random.chance(0.5)) {
      map = map.with(slot, `${step}`);
      model.set(slot, `${step}`);
    } else {
      map = map.without(slot);
      model.delete(slot);
    }
    expect(map.get(slot)).toBe(model.get(slot));
    expect(map.has(slot)).toBe(model.has(slot));
    if (step % 30 === 0) versions.push([map, model]);
  }
  for (const [version, of] of versions) same(version, of);
  same(
    map.map((value) => `${value}!`),
    new Map([...model].map(([slot, value]) => [slot, `${value}!`])),
  );
});

test('has nothing where there is no slot', () => {
  const map = SlotMap.of([[3, 'three']]);
  for (const slot of [-1, 0, 4, 64, 1e9, 0.5, Number.NaN]) expect(map.get(slot)).toBeUndefined();
  expect(map.without(9)).toBe(map);
});
