// many.ts: a preload module with as many workers as there are slots.

import type { PreloadServer } from 'bgworker';
import { idle } from './idle.ts';

export function init(server: PreloadServer): void {
  for (let number = 0; number < server.maxWorkerProcesses; number++) {
    server.registerBackgroundWorker({ name: `idle ${number}`, restartTime: 'never', main: idle });
  }
}
