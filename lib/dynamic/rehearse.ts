// rehearse.ts: a client's whole way to the postmaster and back, once, in the launcher: what it
// compiles need not be compiled again in every worker that registers its first worker.

import { checkRegistration } from '../register/check.ts';
import type { ControlPlace } from '../travel/control.ts';
import { ControlClient } from './control-client.ts';
import { DynamicWorkers } from './dynamic-workers.ts';

/** A handle that is STOPPED for ever: any slot may have somebody in it by now. */
const NOBODY = { slot: -1, generation: 0n };

/** Resolves when nothing of it is left. If the postmaster has died, others will say so. */
export async function rehearseControl(place: ControlPlace): Promise<void> {
  const client = new ControlClient(place);
  const dynamic = new DynamicWorkers(client);
  const options = { name: 'rehearsal', module: import.meta.url, flags: [], restartTime: 'never' };
  checkRegistration(options, { kind: 'dynamic' });
  try {
    const handle = await dynamic.watch(options.name, NOBODY);
    await handle.waitForShutdown();
  } catch {}
  await client.close();
}
