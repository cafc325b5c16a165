// groups.ts: all groups of measurements, in the order in which they run.

import { connect } from './groups/connect.ts';
import { crash } from './groups/crash.ts';
import { dynamic } from './groups/dynamic.ts';
import { memory } from './groups/memory.ts';
import { locks, queue } from './groups/queue.ts';
import { soak } from './groups/soak.ts';
import { start } from './groups/start.ts';
import type { Group } from './support/figure.ts';

export const GROUPS: readonly Group[] = [
  start,
  memory,
  queue,
  locks,
  crash,
  dynamic,
  connect,
  soak,
];
