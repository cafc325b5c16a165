// farewell.ts: the last word to a client that is cut off, so that it can tell why.
//
// Only our side is closed at first. A client that is still writing would otherwise get EPIPE, never
// read what waits for it, and take the postmaster for dead. What it still sends is thrown away.

import type { Socket } from 'node:net';
import type { ControlReply } from '../travel/control.ts';
import { encodeHead } from '../travel/frames.ts';
import { FAREWELL_MS } from './limits.ts';

export function sayFarewell(socket: Socket, message: string): void {
  socket.removeAllListeners('data').removeAllListeners('timeout');
  socket.end(encodeHead({ kind: 'farewell', message } satisfies ControlReply));
  socket.resume();
  const patience = setTimeout(() => socket.destroy(), FAREWELL_MS);
  patience.unref();
  socket.once('close', () => clearTimeout(patience));
}
