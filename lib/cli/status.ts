// status.ts: `bgworker status`.

import { join } from 'node:path';
import { LOCK_FILE_NAME } from '../data-directory/lock-file.ts';
import { EXIT, type ExitStatus, type Settings } from './command.ts';
import { dataDirectoryOf, lookUp } from './lookup.ts';
import * as messages from './messages.ts';
import type { Output } from './output.ts';

export function run(settings: Settings, output: Output): ExitStatus {
  const dataDirectory = dataDirectoryOf(settings);
  const found = lookUp(dataDirectory);
  switch (found.kind) {
    case 'running':
      output.print(messages.running(found.postmaster));
      return EXIT.ok;
    case 'none':
    case 'stale':
      output.print(messages.notRunning);
      return EXIT.notRunning;
    case 'invalid':
      output.complain(messages.lockFileInvalid(join(dataDirectory, LOCK_FILE_NAME)));
      return EXIT.failed;
    case 'inaccessible':
      output.complain(found.sentence);
      return EXIT.noDataDirectory;
  }
}
