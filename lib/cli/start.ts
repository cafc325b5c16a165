// start.ts: `bgworker start`: the postmaster in this process, or in one of its own.

import { resolve } from 'node:path';
import { EXIT, type ExitStatus, type Settings } from './command.ts';
import { findConfig } from './config.ts';
import type { Output } from './output.ts';

export async function run(settings: Settings, output: Output): Promise<ExitStatus> {
  const configFile = findConfig(settings.configFile);
  const { dataDirectory } = settings;
  const place = {
    configFile,
    dataDirectory: dataDirectory === null ? null : resolve(dataDirectory),
  };
  if (settings.foreground) {
    const { runInForeground } = await import('./foreground.ts');
    return runInForeground(place, output);
  }
  const { startInBackground } = await import('./background.ts');
  return (await startInBackground(place, settings, output)) ? EXIT.ok : EXIT.failed;
}
