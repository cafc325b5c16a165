// launch.ts: `bgworker launch`: registers a dynamic worker, and waits until it has a process.

import { existsSync } from 'node:fs';
import { basename, resolve } from 'node:path';
import { pathToFileURL } from 'node:url';
import type { BackgroundWorkerHandle, WorkerStatus } from '../dynamic/handle.ts';
import { sentenceOf } from '../messages.ts';
import { travelling } from '../travel/control.ts';
import {
  EXIT,
  type ExitStatus,
  type LaunchSettings,
  type Settings,
  UsageError,
} from './command.ts';
import { withPostmaster } from './control-session.ts';
import { badArg } from './messages.ts';
import type { Output } from './output.ts';
import * as messages from './worker-messages.ts';
import { handleOf } from './worker-table.ts';

export function run(settings: Settings, output: Output): Promise<ExitStatus> {
  const options = optionsOf(settings);
  return withPostmaster(settings, output, async (session) => {
    const handle = await session.dynamic.register(options);
    if (!settings.wait) {
      output.say(messages.registered(handle.name, shown(handle)));
      return EXIT.ok;
    }
    return untilStarted(handle, settings, output);
  });
}

async function untilStarted(
  handle: BackgroundWorkerHandle,
  { timeoutMs }: Settings,
  output: Output,
): Promise<ExitStatus> {
  const patience = AbortSignal.timeout(timeoutMs);
  let status: WorkerStatus;
  try {
    status = await handle.waitForStartup({ signal: patience });
  } catch (error) {
    if (!patience.aborted) throw error;
    output.complain(messages.notLaunchedInTime(handle.name, shown(handle), timeoutMs / 1000));
    return EXIT.failed;
  }
  if (status.status !== 'STARTED') {
    output.complain(messages.notLaunched(handle.name));
    return EXIT.failed;
  }
  output.say(messages.launched(handle.name, shown(handle), status.pid));
  return EXIT.ok;
}

function shown(handle: BackgroundWorkerHandle): string {
  return handleOf(travelling(handle));
}

/** @throws UsageError */
function optionsOf({ operands, launch }: Settings): object {
  if (launch === null) throw new Error('launch was called without its settings');
  const { program, type, flags, restartTime, database, user } = launch;
  const [module] = operands;
  return {
    ...(program !== null
      ? { name: launch.name ?? basename(program[0] ?? ''), exec: program }
      : { name: launch.name ?? launch.function ?? 'main', module: moduleOf(module ?? '') }),
    ...(launch.function !== null && { function: launch.function }),
    ...(launch.arg !== null && { arg: argOf(launch) }),
    ...(type !== null && { type }),
    ...(flags.length > 0 && { flags }),
    ...(restartTime !== null && { restartTime }),
    ...(database !== null && { database }),
    ...(user !== null && { user }),
  };
}

/** A path is taken from here, and not from where the postmaster was started. */
function moduleOf(word: string): string {
  const isPath = /^[./]/.test(word) || existsSync(word);
  return isPath && !word.startsWith('file:') ? pathToFileURL(resolve(word)).href : word;
}

function argOf({ arg }: LaunchSettings): unknown {
  try {
    return JSON.parse(arg ?? '');
  } catch (error) {
    throw new UsageError(badArg(sentenceOf(error)), 'launch');
  }
}
