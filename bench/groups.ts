// groups.ts: all groups of measurements, in the order in which they run.

import { crash } from './groups/crash.ts';
import { memory } from './groups/memory.ts';
import { start } from './groups/start.ts';
import type { Group } from './support/figure.ts';

export const GROUPS: readonly Group[] = [start, memory, crash];
