// attached.ts: a preload module with as many workers with shared memory as there are slots. After a
// crash of one, all are back at once, in spite of their interval.

import type { PreloadServer } from 'bgworker';
import { idle } from './idle.ts';

export function init(server: PreloadServer): void {
  const { count } = server.shmem.struct('count', { count: 'u64' });
  for (let number = 0; number < server.maxWorkerProcesses; number++) {
    server.registerBackgroundWorker({
      name: `attached ${number}`,
      flags: ['SHMEM_ACCESS'],
      restartTime: 3600,
      main: (worker) => {
        count.add(1n);
        return idle(worker);
      },
    });
  }
}
