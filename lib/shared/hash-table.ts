// hash-table.ts: a hash table in shared memory (dshash): keys and values are bytes, all processes
// read and write at the same time.
//
//     const seen = worker.dsm.hash('seen', { maxKeyBytes: 64, maxValueBytes: 8 });
//     seen.set('key', value); seen.find('key'); seen.delete('key');
//     seen.update('hits', (old) => plusOne(old));               // nobody comes in between
//
// 128 partitions, each with a lock of its own, which a verb holds while it runs and no longer: bytes
// are copied in and out. The table grows at a load of 75 %, and never shrinks. Verbs block this
// thread for as long as another process holds the partition, which is as long as a copy, or as an
// update() there. A text stands for its UTF-8 bytes.

import type { Attached } from './attached.ts';
import * as messages from './messages.ts';
import { asked } from './refusal.ts';

export interface HashTableOptions {
  /** 1 to 1024. */
  readonly maxKeyBytes: number;
  /** 0 to 1 048 576. */
  readonly maxValueBytes: number;
  /** What it may grow to, in bytes; costs address space only until it is used. Default: 64 MiB. */
  readonly bytes?: number;
}

const DEFAULT_BYTES = 64 << 20;

export class HashTable {
  readonly name: string;
  readonly #attached: Attached;
  readonly #number: number;

  /** For dynamic-shared-memory.ts. */
  static open(attached: Attached, name: string, options: HashTableOptions): HashTable {
    const { maxKeyBytes, maxValueBytes, bytes = DEFAULT_BYTES } = options;
    const number = asked(messages.hashSubject(name), () =>
      attached.attachment.openHash(name, bytes, maxKeyBytes, maxValueBytes),
    );
    return new HashTable(attached, name, number);
  }

  private constructor(attached: Attached, name: string, number: number) {
    this.#attached = attached;
    this.#number = number;
    this.name = name;
  }

  /** A copy of the value; null: there is none. */
  find(key: Uint8Array | string): Buffer | null {
    return this.#ask((memory) => memory.hashFind(this.#number, asBytes(key)));
  }

  /** Only if the key is not there yet. true: it was not. */
  insert(key: Uint8Array | string, value: Uint8Array | string): boolean {
    return this.#ask((memory) =>
      memory.hashInsert(this.#number, asBytes(key), asBytes(value), false),
    );
  }

  /** Whether it is there or not. true: it was not. */
  set(key: Uint8Array | string, value: Uint8Array | string): boolean {
    return this.#ask((memory) =>
      memory.hashInsert(this.#number, asBytes(key), asBytes(value), true),
    );
  }

  /**
   * Gives the value (null: there is none) to `change`, and puts what it returns in its place (null:
   * nothing), all under the lock of the partition: nobody comes in between. `change` is short, does
   * not wait and uses no hash table. What it throws leaves everything as it was.
   */
  update(
    key: Uint8Array | string,
    change: (value: Buffer | null) => Uint8Array | string | null,
  ): void {
    this.#ask((memory) =>
      memory.hashUpdate(this.#number, asBytes(key), (value) => {
        const changed = change(value);
        return changed === null ? null : asBytes(changed);
      }),
    );
  }

  /** false: it was not there. */
  delete(key: Uint8Array | string): boolean {
    return this.#ask((memory) => memory.hashDelete(this.#number, asBytes(key)));
  }

  /** A copy of all that is there throughout; what comes or goes meanwhile, perhaps. */
  entries(): [key: Buffer, value: Buffer][] {
    return this.#ask((memory) => memory.hashScan(this.#number));
  }

  /** Exact while nobody changes it. */
  get size(): number {
    return this.#ask((memory) => memory.hashCount(this.#number));
  }

  #ask<Answer>(verb: (memory: Attached['attachment']) => Answer): Answer {
    return asked(messages.hashSubject(this.name), () => verb(this.#attached.attachment));
  }
}

function asBytes(bytes: Uint8Array | string): Uint8Array {
  return typeof bytes === 'string' ? Buffer.from(bytes) : bytes;
}
