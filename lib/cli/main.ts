#!/usr/bin/env node
// main.ts: the program `bgworker`. Reads the command line, calls one command, and leaves with the
// exit status that it gives: 0 done, 1 failed, 3 not running, 4 no data directory.
//
// It leaves by process.exit(): what a configuration file has left running in this process shall not
// keep a finished command alive.

import { readFileSync } from 'node:fs';
import { MANIFEST } from '../package-files.ts';
import { parseArguments } from './arguments.ts';
import { type CommandModule, EXIT, type ExitStatus, UsageError } from './command.ts';
import { COMMANDS } from './commands.ts';
import * as messages from './messages.ts';
import { createOutput } from './output.ts';

process.exit(await main(process.argv.slice(2)));

async function main(argv: readonly string[]): Promise<ExitStatus> {
  let output = createOutput({ silent: false });
  try {
    const invocation = parseArguments(argv, process.env);
    switch (invocation.kind) {
      case 'version':
        output.print(`bgworker ${version()}`);
        return EXIT.ok;
      case 'help': {
        const { commandHelp, generalHelp } = await import('./help.ts');
        const { command } = invocation;
        output.print(command === null ? generalHelp() : commandHelp(command));
        return EXIT.ok;
      }
      case 'run': {
        const { command, settings } = invocation;
        output = createOutput(settings);
        const { run }: CommandModule = await COMMANDS[command].load();
        return await run(settings, output);
      }
    }
  } catch (error) {
    output.complainOf(error);
    if (error instanceof UsageError) output.advise(messages.seeHelp(error.command));
    return EXIT.failed;
  }
}

function version(): string {
  return JSON.parse(readFileSync(MANIFEST, 'utf8')).version;
}
