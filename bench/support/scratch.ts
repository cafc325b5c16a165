// scratch.ts: a temporary directory that is gone when its owner is done, whatever happened.

import { chmodSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

export class Scratch implements Disposable {
  readonly path = mkdtempSync(join(tmpdir(), 'bgworker-bench-'));

  constructor() {
    // An embedded server under a user of its own has its data below.
    chmodSync(this.path, 0o711);
  }

  in(name: string): string {
    return join(this.path, name);
  }

  [Symbol.dispose](): void {
    rmSync(this.path, { recursive: true, force: true });
  }
}
