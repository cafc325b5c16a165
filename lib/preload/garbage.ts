// garbage.ts: V8's collector on request. In the launcher only, before its first fork.

import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';

export type Collect = (options?: { readonly type: 'minor' }) => void;

/** Full collections, or those of the young generation alone. */
export function collector(): Collect {
  setFlagsFromString('--expose-gc');
  const collect = runInNewContext('gc') as Collect;
  setFlagsFromString('--no-expose-gc');
  return collect;
}
