// log.ts: one logger for all processes of a postmaster: pino, written synchronously to stderr.
//
// Synchronously, because a line must be out before the process may die, and because pino's
// transports start a thread, which a fork would lose. Each process makes its own logger from the
// same options: the pid in a line is the pid of who wrote it.

import { type Logger, pino } from 'pino';
import pretty from 'pino-pretty';

export type { Logger };

/** 'json': a JSON object a line, for collectors; 'text': for people. */
export const LOG_FORMATS = ['text', 'json'] as const;
export const LOG_LEVELS = ['trace', 'debug', 'info', 'warn', 'error', 'fatal', 'silent'] as const;

export interface LogOptions {
  /** Lines below this level are dropped. PostgreSQL's DEBUG1 is 'debug' here, its LOG 'info'. */
  readonly level: (typeof LOG_LEVELS)[number];
  readonly format: (typeof LOG_FORMATS)[number];
}

const STDERR = 2;

/** `name` says which process speaks: 'postmaster', 'launcher' or the worker's name. */
export function createLogger(options: LogOptions, name: string): Logger {
  const destination =
    options.format === 'json'
      ? pino.destination({ fd: STDERR, sync: true })
      : pretty({
          destination: STDERR,
          sync: true,
          colorize: process.stderr.isTTY === true,
          ignore: 'hostname',
          translateTime: 'SYS:yyyy-mm-dd HH:MM:ss.l',
          singleLine: true,
        });
  return pino({ level: options.level, name, base: { pid: process.pid } }, destination);
}
