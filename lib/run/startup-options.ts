// startup-options.ts: what a user writes to register a startup process, and what becomes of it.

import { BgworkerError } from '../errors.ts';
import * as messages from '../messages.ts';
import { NAME_MAX_BYTES } from '../model/registration.ts';
import type { StartupProcess } from './startup-process.ts';

/** The main function of the startup process: its return is the end of recovery. */
export type StartupMain = (startup: StartupProcess) => unknown;

export interface StartupOptions {
  /** Shown in the process title and in log lines; 1 to 95 bytes. Default: 'startup'. */
  readonly name?: string;
}

export interface RegisteredStartup {
  readonly name: string;
  readonly main: StartupMain;
}

/** @throws BgworkerError ERR_INVALID_REGISTRATION */
export function checkStartup(main: unknown, options: StartupOptions): RegisteredStartup {
  const refuse = (path: string, rule: string, got: unknown): never => {
    const sentence = messages.invalidOption('startup process', path, rule, got);
    throw new BgworkerError('ERR_INVALID_REGISTRATION', sentence);
  };
  if (typeof main !== 'function') return refuse('main', 'must be a function', main);
  const { name = 'startup', ...others } = options;
  const [unknown] = Object.keys(others);
  if (unknown !== undefined) {
    const sentence = messages.unknownOption('startup process', unknown, ['name']);
    throw new BgworkerError('ERR_INVALID_REGISTRATION', sentence);
  }
  const isLabel = typeof name === 'string' && name !== '' && !/\p{Cc}/u.test(name);
  if (!isLabel || Buffer.byteLength(name) > NAME_MAX_BYTES) {
    const rule = `must be a text of 1 to ${NAME_MAX_BYTES} bytes without control characters`;
    return refuse('name', rule, name);
  }
  return { name, main: main as StartupMain };
}
