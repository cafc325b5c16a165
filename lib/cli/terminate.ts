// terminate.ts: `bgworker terminate`: ends a worker for good (TerminateBackgroundWorker), also one
// that a preload module registered, and waits until it is gone.

import type { BackgroundWorkerHandle } from '../dynamic/handle.ts';
import { arrived, type ListedWorker } from '../travel/control.ts';
import { EXIT, type ExitStatus, type Settings } from './command.ts';
import { withPostmaster } from './control-session.ts';
import type { Output } from './output.ts';
import * as messages from './worker-messages.ts';
import { handleOf } from './worker-table.ts';

export function run(settings: Settings, output: Output): Promise<ExitStatus> {
  return withPostmaster(settings, output, async (session) => {
    const { workers } = await session.list();
    const worker = find(settings.operands[0] ?? '', workers, output);
    const id = worker === null ? null : arrived(worker);
    if (worker === null || id === null) return EXIT.failed;
    const handle = await session.dynamic.watch(worker.name, id);
    await handle.terminate();
    if (!settings.wait) {
      output.say(messages.terminating(worker.name));
      return EXIT.ok;
    }
    return untilGone(handle, worker, settings, output);
  });
}

/** By its handle, its pid or its name; null, after having said why not. */
function find(word: string, workers: readonly ListedWorker[], output: Output): ListedWorker | null {
  const byHandle = workers.find((worker) => handleOf(worker) === word);
  const byPid = workers.find(({ pid }) => pid !== null && String(pid) === word);
  const byName = workers.filter(({ name }) => name === word);
  const found = byHandle ?? byPid ?? byName[0];
  if (found === undefined) {
    output.complain(messages.noSuchWorker(word));
    return null;
  }
  if (byHandle === undefined && byPid === undefined && byName.length > 1) {
    output.complain(messages.severalWorkers(word, byName.map(handleOf)));
    return null;
  }
  return found;
}

async function untilGone(
  handle: BackgroundWorkerHandle,
  { name, pid }: ListedWorker,
  { timeoutMs }: Settings,
  output: Output,
): Promise<ExitStatus> {
  const patience = AbortSignal.timeout(timeoutMs);
  try {
    await handle.waitForShutdown({ signal: patience });
  } catch (error) {
    if (!patience.aborted) throw error;
    output.complain(messages.doesNotEnd(name, pid, timeoutMs / 1000));
    return EXIT.failed;
  }
  output.say(messages.terminated(name));
  return EXIT.ok;
}
