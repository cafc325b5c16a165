// table.ts: the figures as people read them.

import { type Figure, isMet, type Target } from './figure.ts';

export function table(group: string, figures: readonly Figure[]): string {
  const rows = figures.map(({ what, key, value, target }) => [
    what,
    rounded(value),
    unitOf(key),
    target === undefined ? '' : verdict(value, target),
  ]);
  const widths = [0, 1, 2].map((column) =>
    Math.max(...rows.map((row) => (row[column] ?? '').length)),
  );
  const lines = rows.map(([what = '', value = '', unit = '', target = '']) =>
    [
      what.padEnd(widths[0] ?? 0),
      value.padStart(widths[1] ?? 0),
      unit.padEnd(widths[2] ?? 0),
      target,
    ]
      .join('  ')
      .trimEnd(),
  );
  return [group, ...lines.map((line) => `  ${line}`)].join('\n');
}

/** Three digits that mean something. */
export function rounded(value: number): string {
  return Math.abs(value) >= 100 ? value.toFixed(0) : String(Number(value.toPrecision(3)));
}

/** The last word of a key is its unit; a rate has two (starts_200_per_s). */
function unitOf(key: string): string {
  const words = key.split('_');
  const unit = words.at(-1) ?? '';
  if (words.at(-2) === 'per') return words.at(-3) === 'mb' ? 'MB/s' : `/${unit}`;
  return { mb: 'MB', ratio: 'times' }[unit] ?? unit;
}

function verdict(value: number, target: Target): string {
  const [word, limit] =
    'atMost' in target ? ['at most', target.atMost] : ['at least', target.atLeast];
  return `${word} ${limit}: ${isMet(value, target) ? 'met' : 'MISSED'}`;
}
