// stop.ts: `bgworker stop`: the signal of the mode, and then patience.

import { join } from 'node:path';
import { LOCK_FILE_NAME } from '../data-directory/lock-file.ts';
import { EXIT, type ExitStatus, type Settings } from './command.ts';
import { departureOf } from './departure.ts';
import { dataDirectoryOf, requirePostmaster, sendSignal } from './lookup.ts';
import * as messages from './messages.ts';
import type { StopMode } from './options.ts';
import type { Output } from './output.ts';
import { showWaiting } from './progress.ts';

const SIGNAL_OF_MODE = {
  smart: 'SIGTERM',
  fast: 'SIGINT',
  immediate: 'SIGQUIT',
} as const satisfies Record<StopMode, NodeJS.Signals>;

export async function run(settings: Settings, output: Output): Promise<ExitStatus> {
  const { mode, timeoutMs, wait } = settings;
  const dataDirectory = dataDirectoryOf(settings);
  const postmaster = requirePostmaster(dataDirectory, output);
  if (postmaster === null) return EXIT.failed;
  const { pid } = postmaster;
  // Watched before it is told, so that the end of a very quick one is not missed.
  const departure = wait ? departureOf(postmaster, dataDirectory, timeoutMs) : null;
  if (!sendSignal('stop', postmaster, SIGNAL_OF_MODE[mode], output)) return EXIT.failed;
  if (departure === null) {
    output.say(messages.stopping);
    return EXIT.ok;
  }

  const showEnd = showWaiting(output, messages.waitingForStop);
  const outcome = await departure;
  showEnd(outcome === 'still there' ? 'impatient' : 'done');
  if (outcome === 'still there') {
    output.complain(messages.doesNotStop(pid, timeoutMs / 1000));
    if (mode === 'smart') output.advise(messages.smartHint);
    return EXIT.failed;
  }
  if (outcome === 'left its lock file') {
    output.complain(messages.leftLockFile(join(dataDirectory, LOCK_FILE_NAME)));
  }
  if (outcome === 'lives on') output.complain(messages.livesOn(pid));
  output.say(messages.stopped);
  return EXIT.ok;
}
