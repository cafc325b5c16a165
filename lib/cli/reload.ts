// reload.ts: `bgworker reload`: SIGHUP, which the postmaster passes on. It does not read its
// configuration file again.

import { EXIT, type ExitStatus, type Settings } from './command.ts';
import { dataDirectoryOf, requirePostmaster, sendSignal } from './lookup.ts';
import * as messages from './messages.ts';
import type { Output } from './output.ts';

export function run(settings: Settings, output: Output): ExitStatus {
  const postmaster = requirePostmaster(dataDirectoryOf(settings), output);
  if (postmaster === null) return EXIT.failed;
  if (!sendSignal('reload', postmaster, 'SIGHUP', output)) return EXIT.failed;
  output.say(messages.signaled);
  return EXIT.ok;
}
