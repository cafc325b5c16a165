// greet.ts: the subject: a backend that says that it is there, and is done when its client is. Around
// it as many workers as there are slots, for who measures both at once.

import 'pg';
import type { Socket } from 'node:net';
import type { PreloadServer } from 'bgworker';
import { init as initMany } from './many.ts';

export function init(server: PreloadServer): void {
  server.registerBackend((connection: Socket) => {
    connection.write('!');
    connection.resume();
  });
  if (process.env.BGWORKER_BENCH_WORKERS === 'many') initMany(server);
}
