// watchful.ts: a connection target for who wants to know soon that the server is gone.
//
// What the connection string says about patience holds. Where it says nothing, libpq's defaults are
// the system's: two hours until the first probe, a quarter of an hour for data that nobody
// acknowledges, two minutes for a host that does not answer at all, before the next one is tried.

import type { ConnectionTarget } from './conninfo/target.ts';

/** A dead host is found out after 10 + 3 × 5 seconds. Probes are the kernel's; nobody wakes up. */
const PATIENCE = { idleSeconds: 10, intervalSeconds: 5, count: 3, userTimeoutMs: 25_000 } as const;
const CONNECT_TIMEOUT_MS = 10_000;

export function watchful(target: ConnectionTarget): ConnectionTarget {
  const { keepalives, connectTimeoutMs, settings } = target;
  return {
    ...target,
    connectTimeoutMs:
      (settings.connect_timeout ?? '') === '' ? CONNECT_TIMEOUT_MS : connectTimeoutMs,
    keepalives: {
      enabled: keepalives.enabled,
      idleSeconds: keepalives.idleSeconds || PATIENCE.idleSeconds,
      intervalSeconds: keepalives.intervalSeconds || PATIENCE.intervalSeconds,
      count: keepalives.count || PATIENCE.count,
      userTimeoutMs: keepalives.userTimeoutMs || PATIENCE.userTimeoutMs,
    },
  };
}
