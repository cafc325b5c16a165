// dynamic-shared-memory.ts: segments that are made while the postmaster runs (dsm.c), those of them
// that are found by a name (dsm_registry.c), and the hash tables that live in such (dshash.c).
//
// `worker.dsm`. What a process has attached is detached at its exit, the latest first. After a crash
// cycle all of it is gone.

import { BgworkerError } from '../errors.ts';
import { invalidOption } from '../messages.ts';
import type { MappedSegment } from '../native.ts';
import type { Attached } from './attached.ts';
import { HashTable, type HashTableOptions } from './hash-table.ts';
import * as messages from './messages.ts';
import { checkDynamicName } from './name-rules.ts';
import { synchronously } from './names.ts';
import { asked } from './refusal.ts';
import { Segment } from './segment.ts';

export interface SegmentInfo {
  readonly handle: number;
  /** As asked for; it takes whole pages. */
  readonly bytes: number;
  readonly pinned: boolean;
}

export interface NamedInfo {
  readonly name: string;
  readonly kind: 'segment' | 'area' | 'hash';
  /** null: not initialised. */
  readonly bytes: number | null;
}

export class DynamicSharedMemory {
  readonly #attached: Attached;
  readonly #segments = new Map<number, Segment>();

  constructor(attached: Attached) {
    this.#attached = attached;
    attached.process.onLeave(() => this.#detachAll());
  }

  /**
   * A new segment of so many zero bytes, attached here (dsm_create). It takes whole pages of the 16 GiB
   * that all segments share.
   *
   * @throws BgworkerError ERR_SHMEM_TOO_MANY_SEGMENTS (64 + 5 per maxWorkerProcesses),
   * ERR_SHMEM_WINDOW_FULL, ERR_SHMEM_SIZE_ZERO, and ERR_SHMEM_SIZE_TOO_LARGE for more than an
   * ArrayBuffer can show (4 GiB in Node 20).
   */
  create(bytes: number): Segment {
    const { attachment } = this.#attached;
    const subject = 'dsm.create()';
    checkBytes(subject, bytes);
    const mapped = asked(subject, () => attachment.createSegment(bytes));
    return this.#keep(mapped, { isCreator: true, isMappingPinned: false });
  }

  /**
   * The segment of that handle, mapped here, too (dsm_attach).
   *
   * @throws BgworkerError ERR_SHMEM_SEGMENT_GONE if nobody holds it any more;
   * ERR_SHMEM_ALREADY_ATTACHED if this process does: see find().
   */
  attach(handle: number): Segment {
    const { attachment } = this.#attached;
    checkHandle('dsm.attach()', handle);
    const mapped = asked(messages.segmentSubject(handle), () => attachment.attachSegment(handle));
    return this.#keep(mapped, { isCreator: false, isMappingPinned: false });
  }

  /** What this process has mapped of that handle (dsm_find_mapping), or null. */
  find(handle: number): Segment | null {
    return this.#segments.get(handle) ?? null;
  }

  /** Also without being attached. @throws BgworkerError ERR_SHMEM_NOT_PINNED, ERR_SHMEM_UNKNOWN_SEGMENT */
  unpin(handle: number): void {
    const { attachment } = this.#attached;
    checkHandle('dsm.unpin()', handle);
    asked(messages.segmentSubject(handle), () => attachment.unpinSegment(handle));
  }

  /**
   * The segment of that name, created and pinned by the first process that asks
   * (GetNamedDSMSegment). `initialise` runs there, once, while everybody else who asks is blocked;
   * it is synchronous. If it throws, the next process tries again. Asked again, the same object.
   * Names have 1 to 63 bytes, and stay, with their size, until the next crash cycle.
   *
   * @throws BgworkerError ERR_SHMEM_SEGMENT_SIZE_WRONG, ERR_SHMEM_KIND_WRONG, ERR_SHMEM_TOO_MANY_NAMES,
   * ERR_SHMEM_INITIALISED_ABOVE, ERR_SHMEM_INITIALISATION_STUCK after 60 s, and create()'s.
   */
  named(name: string, bytes: number, initialise?: (segment: Segment) => void): Segment {
    const { attachment } = this.#attached;
    const subject = messages.namedSegmentSubject(name);
    checkDynamicName('dsm.named()', name);
    checkBytes(subject, bytes);
    checkInitialiser(subject, initialise);
    const claimed = asked(subject, () => attachment.claimNamed(name, bytes));
    const known = this.#segments.get(claimed.handle);
    if (known !== undefined) return known;
    const segment = this.#keep(claimed, { isCreator: !claimed.found, isMappingPinned: true });
    const { claim } = claimed;
    if (claim === undefined) return segment;
    try {
      if (initialise !== undefined) synchronously(name, () => initialise(segment));
    } catch (error) {
      this.#discard(segment);
      attachment.abandonNamed(claim);
      throw error;
    }
    try {
      asked(subject, () => attachment.publishNamed(claim));
    } catch (error) {
      // The claim has gone with the attempt.
      this.#discard(segment);
      throw error;
    }
    return segment;
  }

  /**
   * The hash table of that name, created by the first process that asks (GetNamedDSHash). Once per
   * process; everybody gives the same options.
   *
   * @throws BgworkerError ERR_SHMEM_ALREADY_ATTACHED the second time, ERR_SHMEM_PARAMETERS_WRONG, and
   * named()'s.
   */
  hash(name: string, options: HashTableOptions): HashTable {
    return HashTable.open(this.#attached, name, options);
  }

  /** All segments that there are, whoever is attached to them. */
  list(): SegmentInfo[] {
    return this.#attached.attachment.listSegments();
  }

  /** Everything that has a name (pg_dsm_registry_allocations). */
  names(): NamedInfo[] {
    return this.#attached.attachment.listNamed();
  }

  #keep(
    mapped: MappedSegment,
    origin: { readonly isCreator: boolean; readonly isMappingPinned: boolean },
  ): Segment {
    const { handle } = mapped;
    const onGone = () => void this.#segments.delete(handle);
    const segment = new Segment(this.#attached, mapped, { ...origin, onGone });
    this.#segments.set(handle, segment);
    return segment;
  }

  /** A segment that did not come to be. What its callbacks say of that came second. */
  #discard(segment: Segment): void {
    try {
      segment.detach();
    } catch {
      // What went wrong first is thrown by the caller.
    }
  }

  #detachAll(): void {
    const problems: unknown[] = [];
    for (const segment of [...this.#segments.values()].reverse()) {
      try {
        segment.detach();
      } catch (error) {
        problems.push(error);
      }
    }
    if (problems.length > 0) throw problems[0];
  }
}

// What the core refuses in words must first be something that it can read.

function checkBytes(subject: string, bytes: unknown): void {
  const isReadable =
    Number.isInteger(bytes) && (bytes as number) >= 0 && (bytes as number) <= 2 ** 52;
  if (!isReadable) refuse(subject, 'bytes', 'must be a whole number of bytes', bytes);
}

function checkHandle(verb: string, handle: unknown): void {
  const isReadable =
    Number.isInteger(handle) && (handle as number) > 0 && (handle as number) < 2 ** 32;
  if (!isReadable) refuse(verb, 'handle', "must be some segment's .handle", handle);
}

function checkInitialiser(subject: string, initialise: unknown): void {
  if (initialise === undefined || typeof initialise === 'function') return;
  refuse(subject, 'initialise', 'must be a function', initialise);
}

function refuse(subject: string, path: string, rule: string, got: unknown): never {
  throw new BgworkerError('ERR_INVALID_OPTION', invalidOption(subject, path, rule, got));
}
