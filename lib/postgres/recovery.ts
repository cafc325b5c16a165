// recovery.ts: is the server of this session in recovery, and is it still what was asked for?
//
// No server tells an idle session that recovery has ended: seen with 15 and 18, it says so with its
// next answer, whatever that answers (in_hot_standby is reported since 14). So it is asked for an
// answer and nothing else. A statement that waits in the server until recovery is over would save
// the asking, but it has a snapshot while it sleeps, and replay waits for snapshots: with one that
// looked every 250 ms, a standby under load fell back by up to 0.5 s, where it was 0.05 s before.

import type { TargetClient } from './connect/client.ts';
import { connectMessages } from './conninfo/messages.ts';
import type { TargetSessionAttrs } from './conninfo/target.ts';

/** Asks. Nothing else may run in the session. */
export async function isInRecovery(client: TargetClient): Promise<boolean> {
  if (client.reported('in_hot_standby') !== undefined) {
    await client.sync();
    return client.reported('in_hot_standby') === 'on';
  }
  // PostgreSQL before 14.
  const { rows } = await client.query<{ answer: boolean }>(
    'SELECT pg_catalog.pg_is_in_recovery() AS answer',
  );
  return rows[0]?.answer === true;
}

/** Who asked for a standby has none any more when it is promoted; null: all is well. */
export function noLongerSuits(attrs: TargetSessionAttrs, inRecovery: boolean): Error | null {
  if (inRecovery || (attrs !== 'standby' && attrs !== 'read-only')) return null;
  return new Error(connectMessages.unsuitable[attrs]);
}
