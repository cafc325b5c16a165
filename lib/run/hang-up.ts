// hang-up.ts: the end of a connection whose backend is done with it.
//
// What was written is sent, however slow the client is, and then our side has ended. The client's
// side is read and forgotten until it ends as well, or for a moment: a process that left with
// something unread would have TCP answer with a reset, which can destroy what is still on its way.

import type { Socket } from 'node:net';

/** How long a client may take to notice the end. */
const LINGER_MS = 2_000;

/** Resolves when both sides have ended, in order or not. */
export function whenClosed(connection: Socket): Promise<void> {
  return new Promise((resolve) => {
    if (connection.closed) resolve();
    else connection.once('close', () => resolve());
  });
}

export async function hangUp(connection: Socket): Promise<void> {
  if (connection.destroyed) return;
  const closed = whenClosed(connection);
  const sent = new Promise<void>((resolve) => connection.end(resolve));
  // Whoever read it is done with it.
  connection.removeAllListeners('readable').removeAllListeners('data').resume();
  await Promise.race([sent, closed]);
  const patience = new Promise<void>((resolve) => setTimeout(resolve, LINGER_MS));
  await Promise.race([closed, patience]);
}
