// target-for.ts: where a worker's connection goes: the postmaster's conninfo, bent to the worker.

import type { Registration } from '../model/registration.ts';
import {
  type ConnectionTarget,
  overrideConninfo,
  processEnvironment,
  resolveConninfo,
} from './conninfo/index.ts';

export interface Wish {
  readonly database?: string | undefined;
  readonly user?: string | undefined;
}

/**
 * The call's wish first, then the registration's, then the conninfo's own. Reads the environment
 * and the service and password files of the calling process, now.
 *
 * @throws BgworkerError ERR_CONNINFO
 */
export function targetFor(
  conninfo: string,
  { name, database, user }: Pick<Registration, 'name' | 'database' | 'user'>,
  wish: Wish,
): ConnectionTarget {
  const options = overrideConninfo(conninfo, {
    database: wish.database ?? database ?? undefined,
    user: wish.user ?? user ?? undefined,
    applicationName: name,
  });
  return resolveConninfo(options, processEnvironment());
}
