// say.ts: the first line of every subject's main.

import { openSync, writeSync } from 'node:fs';
import { FIRST_LINES } from '../support/first-lines.ts';

// Opened while loading, as a program opens its log: a fork inherits it, everybody else pays for it.
const descriptor = openSync(process.env[FIRST_LINES] ?? '/dev/null', 'w');

export function sayFirstLine(name: string): void {
  writeSync(descriptor, `${process.pid} ${name}\n`);
}
