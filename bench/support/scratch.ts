// scratch.ts: a temporary directory that is gone when its owner is done, whatever happened.

import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

export class Scratch implements Disposable {
  readonly path = mkdtempSync(join(tmpdir(), 'bgworker-bench-'));

  in(name: string): string {
    return join(this.path, name);
  }

  [Symbol.dispose](): void {
    rmSync(this.path, { recursive: true, force: true });
  }
}
