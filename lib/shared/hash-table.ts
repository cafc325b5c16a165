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

import { BgworkerError } from '../errors.ts';
import { invalidOption } from '../messages.ts';
import type { Attached } from './attached.ts';
import * as messages from './messages.ts';
import { checkDynamicName } from './name-rules.ts';
import { asked } from './refusal.ts';

export interface HashTableOptions {
  /** 1 to 1024. */
  readonly maxKeyBytes: number;
  /** 0 to 1 048 576. */
  readonly maxValueBytes: number;
  /** What it may grow to, in bytes, from 1 MiB on; costs address space only until it is used.
   *  Default: 64 MiB. */
  readonly bytes?: number;
}

const DEFAULT_BYTES = 64 << 20;

// kMostKeyBytes, kMostValueBytes, kLeastHashBytes (hash.h), kMostHeapBytes (heap.h).
const KEY_BYTES_MAX = 1024;
const VALUE_BYTES_MAX = 1 << 20;
const BYTES_MIN = 1 << 20;
const BYTES_MAX = 2 ** 40;

export class HashTable {
  readonly name: string;
  readonly #attached: Attached;
  readonly #number: number;

  /** For dynamic-shared-memory.ts. */
  static open(attached: Attached, name: string, options: HashTableOptions): HashTable {
    checkDynamicName('dsm.hash()', name);
    const { maxKeyBytes, maxValueBytes, bytes = DEFAULT_BYTES } = options;
    checkNumber(name, 'maxKeyBytes', maxKeyBytes, [1, KEY_BYTES_MAX]);
    checkNumber(name, 'maxValueBytes', maxValueBytes, [0, VALUE_BYTES_MAX]);
    checkNumber(name, 'bytes', bytes, [BYTES_MIN, BYTES_MAX]);
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

  /**
   * A copy of the value; null: there is none.
   *
   * @throws BgworkerError ERR_INVALID_OPTION for what is no bytes, ERR_SHMEM_KEY_LENGTH,
   * ERR_SHMEM_BUSY within an update(), ERR_SHMEM_LOCK_STUCK if the partition is held for 60 s. So do the
   * verbs below; those that put something in, ERR_SHMEM_VALUE_LENGTH and ERR_SHMEM_HEAP_FULL, too.
   */
  find(key: Uint8Array | string): Buffer | null {
    const keyBytes = this.#bytesOf('key', key);
    return this.#ask((memory) => memory.hashFind(this.#number, keyBytes));
  }

  /** Only if the key is not there yet. true: it was not. */
  insert(key: Uint8Array | string, value: Uint8Array | string): boolean {
    return this.#insert(key, value, false);
  }

  /** Whether it is there or not. true: it was not. */
  set(key: Uint8Array | string, value: Uint8Array | string): boolean {
    return this.#insert(key, value, true);
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
    const keyBytes = this.#bytesOf('key', key);
    // What change() throws is its own, whatever it looks like.
    const thrown: unknown[] = [];
    const changeOrTell = (value: Buffer | null): Uint8Array | null => {
      try {
        const changed = change(value);
        return changed === null ? null : this.#bytesOf('what change() returns', changed);
      } catch (error) {
        thrown.push(error);
        throw error;
      }
    };
    try {
      this.#ask((memory) => memory.hashUpdate(this.#number, keyBytes, changeOrTell));
    } catch (error) {
      throw thrown.length > 0 ? thrown[0] : error;
    }
  }

  /** false: it was not there. */
  delete(key: Uint8Array | string): boolean {
    const keyBytes = this.#bytesOf('key', key);
    return this.#ask((memory) => memory.hashDelete(this.#number, keyBytes));
  }

  /** A copy of all that is there throughout; what comes or goes meanwhile, perhaps. */
  entries(): [key: Buffer, value: Buffer][] {
    return this.#ask((memory) => memory.hashScan(this.#number));
  }

  /** Exact while nobody changes it. */
  get size(): number {
    return this.#ask((memory) => memory.hashCount(this.#number));
  }

  #insert(key: Uint8Array | string, value: Uint8Array | string, replace: boolean): boolean {
    const keyBytes = this.#bytesOf('key', key);
    const valueBytes = this.#bytesOf('value', value);
    return this.#ask((memory) => memory.hashInsert(this.#number, keyBytes, valueBytes, replace));
  }

  #bytesOf(path: string, bytes: unknown): Uint8Array {
    if (typeof bytes === 'string') return Buffer.from(bytes);
    if (bytes instanceof Uint8Array) return bytes;
    return refuse(this.name, path, 'must be a Uint8Array or a string', bytes);
  }

  #ask<Answer>(verb: (memory: Attached['attachment']) => Answer): Answer {
    return asked(messages.hashSubject(this.name), () => verb(this.#attached.attachment));
  }
}

function checkNumber(
  name: string,
  path: string,
  got: unknown,
  [least, most]: readonly [number, number],
): void {
  if (Number.isInteger(got) && (got as number) >= least && (got as number) <= most) return;
  refuse(name, path, `must be a whole number from ${least} to ${most}`, got);
}

function refuse(name: string, path: string, rule: string, got: unknown): never {
  const sentence = invalidOption(messages.hashSubject(name), path, rule, got);
  throw new BgworkerError('ERR_INVALID_OPTION', sentence);
}
