// target-for.ts: where a worker's connection goes: the postmaster's conninfo, bent to the worker.
//
// Of several hosts, the one that the postmaster follows comes first: the phases speak of that
// server, and a worker that starts by them should find it there. The others stay behind it, for one
// that connects anew after it is lost.

import type { FollowedDatabase, ServerAddress } from '../model/followed.ts';
import type { Registration } from '../model/registration.ts';
import {
  type ConnectionTarget,
  type ConninfoOverrides,
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
  followed: FollowedDatabase,
  { name, database, user }: Pick<Registration, 'name' | 'database' | 'user'>,
  wish: Wish,
): ConnectionTarget {
  return targetOf(followed, {
    database: wish.database ?? database ?? undefined,
    user: wish.user ?? user ?? undefined,
    applicationName: name,
  });
}

/** @throws BgworkerError ERR_CONNINFO */
export function targetOf(
  { conninfo, server }: FollowedDatabase,
  overrides: ConninfoOverrides,
): ConnectionTarget {
  const target = resolveConninfo(overrideConninfo(conninfo, overrides), processEnvironment());
  return server === null ? target : withFirst(target, server);
}

function withFirst(target: ConnectionTarget, first: ServerAddress): ConnectionTarget {
  const isFirst = ({ host, hostaddr, port }: ServerAddress) =>
    host === first.host && hostaddr === first.hostaddr && port === first.port;
  const hosts = [
    ...target.hosts.filter((one) => isFirst(one)),
    ...target.hosts.filter((one) => !isFirst(one)),
  ];
  return { ...target, hosts };
}
