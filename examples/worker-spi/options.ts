// options.ts: the command line of `npm start`.

import { parseArgs } from 'node:util';

export interface Options {
  /** How long it shows what it has to show, once it is ready; null: until Ctrl-C. */
  readonly seconds: number | null;
  /** null: a temporary one, removed at the end. */
  readonly dataDirectory: string | null;
}

export const USAGE = `\
Runs the sample worker_spi with a PostgreSQL server of its own.

  npm start -- [--for SECONDS] [--data DIRECTORY]

  --for SECONDS      ends so many seconds after it is ready; without it, at Ctrl-C
  --data DIRECTORY   keeps the database there; without it, it is temporary

WORKER_SPI_TOTAL_WORKERS in the environment says how many workers there are; without it, 2.
`;

const SECONDS_MAX = 86_400;

/** @throws Error with a sentence for the user */
export function parseOptions(args: string[]): Options | 'help' {
  const { values } = parseArgs({
    args,
    options: {
      for: { type: 'string' },
      data: { type: 'string' },
      help: { type: 'boolean', short: 'h' },
    },
  });
  if (values.help) return 'help';
  return {
    seconds: values.for === undefined ? null : secondsOf(values.for),
    dataDirectory: values.data ?? null,
  };
}

function secondsOf(text: string): number {
  const seconds = Number(text);
  if (seconds > 0 && seconds <= SECONDS_MAX) return seconds;
  throw new Error(
    `--for must be a number of seconds above 0 and up to ${SECONDS_MAX}, got "${text}"`,
  );
}
