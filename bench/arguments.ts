// arguments.ts: the command line of the benchmark.

import { parseArgs } from 'node:util';
import type { Group } from './support/figure.ts';

export interface Arguments {
  /** Where the JSON goes; null: nowhere. */
  readonly json: string | null;
  readonly groups: readonly Group[];
  readonly rounds: number;
  readonly help: boolean;
}

const DEFAULT_ROUNDS = 20;
const ROUNDS_MAX = 10_000;

/** @throws Error with a sentence that names what is wrong. */
export function parseArguments(args: readonly string[], groups: readonly Group[]): Arguments {
  const { values } = parseArgs({
    args: [...args],
    options: {
      json: { type: 'string' },
      only: { type: 'string', multiple: true, default: [] },
      rounds: { type: 'string', default: String(DEFAULT_ROUNDS) },
      help: { type: 'boolean', default: false },
    },
  });
  const { json = null, only, help } = values;
  if (json === '') throw new Error('--json must name a file');
  const rounds = Number(values.rounds);
  if (!Number.isInteger(rounds) || rounds < 1 || rounds > ROUNDS_MAX) {
    throw new Error(
      `--rounds must be a whole number from 1 to ${ROUNDS_MAX}, got ${values.rounds}`,
    );
  }
  return { json, groups: chosen(only, groups), rounds, help };
}

function chosen(names: readonly string[], groups: readonly Group[]): readonly Group[] {
  for (const name of names) {
    if (groups.some((group) => group.name === name)) continue;
    const known = groups.map((group) => group.name).join(', ');
    throw new Error(`--only must name a group (${known}), got ${name}`);
  }
  return names.length === 0 ? groups : groups.filter((group) => names.includes(group.name));
}

export function usage(groups: readonly Group[]): string {
  return [
    'usage: npm run bench -- [--json FILE] [--only GROUP]... [--rounds N]',
    '',
    '  --json FILE   write the figures there, too: one flat object, the unit last in each key',
    '  --only GROUP  only this group; may be given several times',
    `  --rounds N    how many times the variants take turns (default: ${DEFAULT_ROUNDS})`,
    '',
    'groups:',
    ...groups.map(({ name, about }) => `  ${name.padEnd(12)}  ${about}`),
  ].join('\n');
}
