// output.ts: where a command's words go. Results and progress to stdout, what went wrong to
// stderr, the latter with the program's name in front, as pg_ctl does. Nothing is coloured.

import { inspect } from 'node:util';

export interface Output {
  /** A result: what was asked for. Also with --silent. */
  print(line: string): void;
  /** What a person at the terminal wants to see meanwhile. Not with --silent. */
  say(line: string): void;
  /** The same, within a line. */
  sayPart(part: string): void;
  complain(sentence: string): void;
  /** A sentence under a complaint. */
  advise(sentence: string): void;
  /** The error's sentence; with BGWORKER_DEBUG, where it came from, too. */
  complainOf(error: unknown): void;
}

export function createOutput(settings: { readonly silent: boolean }): Output {
  // Nobody reads any more; what the command does is still to be done.
  for (const stream of [process.stdout, process.stderr]) {
    stream.on('error', (error: NodeJS.ErrnoException) => {
      if (error.code !== 'EPIPE') throw error;
    });
  }
  const sayPart = (part: string) => {
    if (!settings.silent) process.stdout.write(part);
  };
  const advise = (sentence: string) => {
    process.stderr.write(`${sentence}\n`);
  };
  return {
    print: (line) => process.stdout.write(`${line}\n`),
    say: (line) => sayPart(`${line}\n`),
    sayPart,
    complain: (sentence) => advise(`bgworker: ${sentence}`),
    advise,
    complainOf(error) {
      advise(`bgworker: ${error instanceof Error ? error.message : String(error)}`);
      const detail = debugDetail(error);
      if (detail !== null) advise(detail);
    },
  };
}

/** null unless BGWORKER_DEBUG asks for it: a person wants a sentence, not a stack. */
export function debugDetail(error: unknown): string | null {
  return process.env.BGWORKER_DEBUG ? inspect(error) : null;
}
