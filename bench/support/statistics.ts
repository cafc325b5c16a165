// statistics.ts: a summary of samples. Medians, because a busy machine only ever adds to a time.

/** The smallest sample that is at least as large as this share of all of them (nearest rank). */
export function percentile(samples: readonly number[], percent: number): number {
  const sorted = [...samples].sort((a, b) => a - b);
  const rank = Math.max(1, Math.ceil((percent / 100) * sorted.length));
  const found = sorted[rank - 1];
  if (found === undefined) throw new Error('there is no percentile of no samples');
  return found;
}

export function median(samples: readonly number[]): number {
  return percentile(samples, 50);
}
