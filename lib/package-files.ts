// package-files.ts: the package's own programs and modules that are started or loaded by name, where
// package.json says that they are ("imports"): which of its forms this code runs in does not matter.

import { createRequire } from 'node:module';
import { dirname } from 'node:path';

export type PackageFile = '#cli' | '#exec-worker' | '#launcher' | '#parallel-worker' | '#practise';

const { resolve } = createRequire(import.meta.url);

/** Its absolute path. */
export function packageFile(name: PackageFile): string {
  return resolve(name);
}

export const MANIFEST = resolve('bgworker/package.json');

/** Where package.json is, and the addon. */
export const PACKAGE_ROOT = dirname(MANIFEST);
