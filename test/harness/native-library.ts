// native-library.ts: a shared library out of a few lines of C, for native workers; or a program.

import { execFileSync } from 'node:child_process';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { moduleFile } from './postmaster.ts';

const INCLUDE = fileURLToPath(new URL('../../native/include', import.meta.url));

export function compileNative(source: string): string {
  const file = moduleFile(source, 'worker.c');
  const library = join(file, '../worker.so');
  execFileSync('cc', ['-shared', '-fPIC', '-w', '-I', INCLUDE, '-o', library, file]);
  return library;
}

export function compileProgram(source: string): string {
  const file = moduleFile(source, 'program.c');
  const program = join(file, '../program');
  execFileSync('cc', ['-w', '-o', program, file]);
  return program;
}
