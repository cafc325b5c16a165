// control-path.ts: a path of the control socket that the system takes.
//
// The name of a Unix socket has at most 107 bytes, and a data directory may be deeper than that.
// Then the way leads through the opened directory, which is short wherever it lies.

import { closeSync, constants, openSync } from 'node:fs';
import { join } from 'node:path';
import { CONTROL_SOCKET_NAME } from './control.ts';

const SOCKET_PATH_MAX_BYTES = 107;
/** Not in Node's constants. Only the way is needed, not a look into the directory. */
const O_PATH = 0o10_000_000;

export class ControlPath implements Disposable {
  readonly path: string;
  #directory: number | null = null;

  /** Throws what open(2) says. */
  constructor(dataDirectory: string) {
    const path = join(dataDirectory, CONTROL_SOCKET_NAME);
    if (Buffer.byteLength(path) <= SOCKET_PATH_MAX_BYTES) {
      this.path = path;
      return;
    }
    this.#directory = openSync(dataDirectory, O_PATH | constants.O_DIRECTORY);
    this.path = `/proc/self/fd/${this.#directory}/${CONTROL_SOCKET_NAME}`;
  }

  /** The path is not to be used any more. Idempotent. */
  [Symbol.dispose](): void {
    if (this.#directory !== null) closeSync(this.#directory);
    this.#directory = null;
  }
}
