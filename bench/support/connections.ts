// connections.ts: one connection after another, timed by the client: from connect() to the byte that
// says that it is served. The same code for every server, with nothing above the socket.

import { connect } from 'node:net';

export interface Conversation {
  readonly path: string;
  /** Said at once; null: nothing. */
  readonly request: Uint8Array | null;
  /** Is the server ready for this client, with all that it has said so far? */
  isServed(heard: Buffer): boolean;
  /** The way to leave, if closing is not enough. */
  readonly farewell: Uint8Array | null;
}

const PATIENCE_MS = 30_000;

/** Milliseconds until it is served. Resolves when the connection is closed on both sides. */
export function timeConnection(to: Conversation, signal: AbortSignal): Promise<number> {
  return new Promise((resolve, reject) => {
    let heard = Buffer.alloc(0);
    let elapsedMs: number | null = null;
    const calledAt = performance.now();
    const socket = connect(to.path);
    socket.setTimeout(PATIENCE_MS, () => socket.destroy(new Error('nobody served it')));
    const aborted = () => socket.destroy(signal.reason);
    signal.addEventListener('abort', aborted, { once: true });
    if (to.request !== null) socket.write(to.request);
    socket.on('data', (bytes: Buffer) => {
      heard = Buffer.concat([heard, bytes]);
      if (elapsedMs !== null || !to.isServed(heard)) return;
      elapsedMs = performance.now() - calledAt;
      if (to.farewell !== null) socket.write(to.farewell);
      socket.end();
    });
    socket.on('error', reject);
    socket.on('close', () => {
      signal.removeEventListener('abort', aborted);
      if (elapsedMs === null) reject(new Error(`it was not served: ${heard.toString()}`));
      else resolve(elapsedMs);
    });
  });
}

/** One of our own: its first byte is all. */
export function greeting(path: string): Conversation {
  return { path, request: null, isServed: (heard) => heard.length > 0, farewell: null };
}

/** PostgreSQL's: a startup packet, and then whatever comes until ReadyForQuery. */
export function postgres(path: string, parameters: Record<string, string>): Conversation {
  const pairs = Object.entries(parameters).flat();
  const body = Buffer.from(`${pairs.join('\0')}\0\0`);
  const head = Buffer.alloc(8);
  head.writeInt32BE(head.length + body.length, 0);
  head.writeInt32BE(PROTOCOL_3_0, 4);
  return { path, request: Buffer.concat([head, body]), isServed: isReady, farewell: TERMINATE };
}

const PROTOCOL_3_0 = 196_608;
const TERMINATE = Buffer.from([0x58, 0, 0, 0, 4]);
const READY_FOR_QUERY = 0x5a;

function isReady(heard: Buffer): boolean {
  for (let at = 0; at + 5 <= heard.length; at += 1 + heard.readInt32BE(at + 1)) {
    if (heard[at] === READY_FOR_QUERY) return true;
  }
  return false;
}
