// foreground.ts: the postmaster in this process, until it has ended. Also what runs in the process
// that `bgworker start` puts into the background, which then waits for an announcement.

import { BgworkerError } from '../errors.ts';
import { Postmaster } from '../postmaster.ts';
import { type Announcement, type Announcer, takeAnnouncer } from './announcement.ts';
import { EXIT, type ExitStatus } from './command.ts';
import { loadConfig } from './config.ts';
import { debugDetail, type Output } from './output.ts';

/** Where the postmaster's options come from. */
export interface Place {
  readonly configFile: string;
  /** null: the configuration file says it. */
  readonly dataDirectory: string | null;
}

const SIGNALS = ['SIGHUP', 'SIGTERM', 'SIGINT', 'SIGQUIT'] as const;

export async function runInForeground(place: Place, output: Output): Promise<ExitStatus> {
  const announcer = takeAnnouncer(process.env);
  try {
    const options = await loadConfig(place.configFile, place.dataDirectory);
    return await runPostmaster(new Postmaster({ ...options, handleSignals: true }), announcer);
  } catch (error) {
    if (!announcer?.announce(failureOf(error))) output.complainOf(error);
    return EXIT.failed;
  }
}

function failureOf(error: unknown): Announcement {
  return {
    kind: 'failed',
    sentence: error instanceof Error ? error.message : String(error),
    isInUse: error instanceof BgworkerError && error.code === 'ERR_LOCK_FILE',
    detail: debugDetail(error),
  };
}

async function runPostmaster(
  postmaster: Postmaster,
  announcer: Announcer | null,
): Promise<ExitStatus> {
  // From the moment the lock file is there, a signal may come. Node delivers it when start() has
  // returned to the event loop, and by then the postmaster listens; but without a listener before
  // that, and after its last word, the signal would end the process on the spot.
  for (const signal of SIGNALS) process.on(signal, () => {});
  try {
    await postmaster.start();
  } catch (error) {
    // Stopped on request before it was ready: an answer to whoever waits for it, no failure of ours.
    const isStopped = error instanceof BgworkerError && error.code === 'ERR_WRONG_STATE';
    if (!isStopped) throw error;
    announcer?.announce(failureOf(error));
    return await postmaster.finished;
  }
  announcer?.announce({ kind: 'ready' });
  return await postmaster.finished;
}
