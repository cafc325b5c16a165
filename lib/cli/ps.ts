// ps.ts: `bgworker ps`: the workers of a running postmaster.

import type { ExitStatus, Settings } from './command.ts';
import { EXIT } from './command.ts';
import { withPostmaster } from './control-session.ts';
import type { Output } from './output.ts';
import * as messages from './worker-messages.ts';
import { workerTable } from './worker-table.ts';

export function run(settings: Settings, output: Output): Promise<ExitStatus> {
  return withPostmaster(settings, output, async (session) => {
    const { workers } = await session.list();
    if (workers.length === 0) output.say(messages.noWorkers);
    else for (const line of workerTable(workers)) output.print(line);
    return EXIT.ok;
  });
}
