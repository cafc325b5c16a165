// control-session.ts: a command's conversation with a running postmaster, over its control socket.

import { ControlClient } from '../dynamic/control-client.ts';
import { DynamicWorkers } from '../dynamic/dynamic-workers.ts';
import { BgworkerError } from '../errors.ts';
import type { WorkerList } from '../travel/control.ts';
import { EXIT, type ExitStatus, type Settings } from './command.ts';
import { dataDirectoryOf, requireRunning } from './lookup.ts';
import type { Output } from './output.ts';
import * as messages from './worker-messages.ts';

export class ControlSession {
  readonly #client: ControlClient;
  readonly dynamic: DynamicWorkers;

  constructor(dataDirectory: string) {
    this.#client = new ControlClient({ dataDirectory, instance: null });
    this.dynamic = new DynamicWorkers(this.#client);
  }

  list(): Promise<WorkerList> {
    return this.#client.ask({ do: 'workers' }, null, (list) => list);
  }

  async close(): Promise<void> {
    await this.#client.close();
  }
}

/** The act, if there is a postmaster; else the exit status that says so, after having said why. */
export async function withPostmaster(
  settings: Settings,
  output: Output,
  act: (session: ControlSession) => Promise<ExitStatus>,
): Promise<ExitStatus> {
  const dataDirectory = dataDirectoryOf(settings);
  const status = requireRunning(dataDirectory, output);
  if (status !== EXIT.ok) return status;
  const session = new ControlSession(dataDirectory);
  try {
    return await act(session);
  } catch (error) {
    if (!(error instanceof BgworkerError) || error.code !== 'ERR_POSTMASTER_DIED') throw error;
    output.complain(messages.postmasterGone(error.message));
    return EXIT.notRunning;
  } finally {
    await session.close();
  }
}
