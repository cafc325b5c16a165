// soak.ts: what a hundred thousand short dynamic workers, one after another through 8 slots, leave
// behind in the postmaster. It takes as long as they take: minutes, and half an hour where a fork is
// slow; fewer rounds are fewer workers.

import type { Soaked } from '../subject/soak.ts';
import type { Context, Figure, Group } from '../support/figure.ts';
import { PlainChild } from '../support/plain-children.ts';

/** A hundred thousand in 20 rounds, which is the default. */
const PER_ROUND = 5_000;

export const soak: Group = {
  name: 'soak',
  about: 'what 100,000 short dynamic workers leave behind',
  run: measure,
};

async function measure({ rounds, signal }: Context): Promise<Figure[]> {
  const count = rounds * PER_ROUND;
  await using program = new PlainChild('soak');
  const soaked = (await program.ask(count, signal)) as Soaked;
  const many = count.toLocaleString('en');
  return [
    {
      key: 'dynamic_soak_growth_mb',
      value: soaked.growthMb,
      what: `${many} short workers: the postmaster's growth after a tenth of them`,
      target: { atMost: 5 },
    },
    {
      key: 'dynamic_soak_descriptors',
      value: soaked.descriptorsMore,
      what: 'descriptors more than at the beginning',
      target: { atMost: 0 },
    },
    {
      key: 'dynamic_soak_slots',
      value: soaked.slotsLeft,
      what: 'slots in use afterwards',
      target: { atMost: 0 },
    },
    { key: 'dynamic_soak_per_s', value: soaked.perSecond, what: 'short workers per second' },
  ];
}
