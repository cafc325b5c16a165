// names.ts: what lies in the main area under a name, found or created (ShmemInitStruct).
//
// A preload module asks in its init(), which reserves the room (SharedRequests): what it gets back
// is bound in each attached process before its main() runs, and anew after each crash cycle. A
// process that runs may ask as well (AttachedNames), as far as there is room left. Who comes first
// initialises it, and everybody else waits for that; so an initialiser is short and synchronous.
//
// In the directory, which knows one kind of name only, a struct has its own name and a lock of that
// name has 'lwlock:NAME', so that a struct and the lock that guards it can be called the same. No
// struct's own name may begin like that.

import { BgworkerError } from '../errors.ts';
import type { Attached } from './attached.ts';
import { BARRIER_BYTES, Barrier, type BarrierOptions } from './barrier.ts';
import { CONDITION_VARIABLE_BYTES, ConditionVariable } from './condition-variable.ts';
import type { StructLayout } from './layout.ts';
import { Lwlock } from './lwlock.ts';
import * as messages from './messages.ts';
import { checkName, checkStructName } from './name-rules.ts';
import { asked } from './refusal.ts';
import { SharedStruct, type Struct } from './struct.ts';

/** What can be asked for. The same name and the same shape, asked for again, is the same thing. */
export interface SharedNames {
  /**
   * A struct of typed fields, laid out as in C, on a cache line (64 bytes); at most 1 GiB.
   * `initialise` runs once, in the process that creates it, before anybody else sees it: short and
   * synchronous, because they wait for it. Without, all is zero.
   *
   * @throws BgworkerError ERR_INVALID_OPTION; ERR_WRONG_STATE once init() is over;
   * ERR_SHMEM_TOO_MANY_NAMES, …_OUT_OF_SPACE. In a running process also …_ENTRY_SIZE_WRONG,
   * …_INITIALISATION_STUCK (after 60 s), what `initialise` throws. So do the verbs below.
   */
  struct<const Layout extends StructLayout>(
    name: string,
    layout: Layout,
    initialise?: (fields: Struct<Layout>) => void,
  ): Struct<Layout>;
  /** A lock that is shared or exclusive; 64 bytes (RequestNamedLWLockTranche). */
  lwlock(name: string): Lwlock;
  /** A group of 1 to 65 536 of them (a tranche), each on a cache line of its own; 64 bytes each. */
  lwlocks(name: string, count: number): readonly Lwlock[];
  /** 16 bytes, on a cache line of its own. */
  conditionVariable(name: string): ConditionVariable;
  /** 40 bytes, on a cache line of its own. Everybody says the same number of participants. */
  barrier(name: string, options?: BarrierOptions): Barrier;
}

/** Of one lock in a group: a cache line. */
const PADDED_LWLOCK_BYTES = 64;
const LWLOCKS_MAX = 65_536;

/** One thing under a name, and how it is tied to a place in memory. */
interface Item {
  /** In the directory. */
  readonly key: string;
  /** What the sentences call it. */
  readonly what: string;
  readonly bytes: number;
  /** What must agree with an earlier request for the same key. */
  readonly shape: string;
  /** What the user has in his hands. */
  readonly face: unknown;
  bind(attached: Attached, buffer: ArrayBuffer, byteOffset: number): void;
  unbind(): void;
  /** After bind(), in the process that creates it. */
  initialise?(): void;
  /** After bind(), in a process that finds it, as far as there is more to compare than bytes. */
  verify?(): void;
}

/** Makes the things; what becomes of them is the business of who is asked. */
abstract class Names implements SharedNames {
  readonly #items = new Map<string, Item>();

  struct<const Layout extends StructLayout>(
    name: string,
    layout: Layout,
    initialise?: (fields: Struct<Layout>) => void,
  ): Struct<Layout> {
    checkStructName(name);
    const struct = new SharedStruct(name, layout);
    return this.#add<Struct<Layout>>({
      key: name,
      what: messages.structSubject(name),
      bytes: struct.layout.byteLength,
      shape: JSON.stringify(layout),
      face: struct.fields,
      bind: (_attached, buffer, byteOffset) => struct.bind(buffer, byteOffset),
      unbind: () => struct.unbind(),
      ...(initialise && { initialise: () => synchronously(name, () => initialise(struct.fields)) }),
    });
  }

  lwlock(name: string): Lwlock {
    checkName('lwlock', name);
    const lock = new Lwlock(name);
    return this.#add<Lwlock>({
      key: `lwlock:${name}`,
      what: `lock "${name}"`,
      bytes: PADDED_LWLOCK_BYTES,
      shape: 'lwlock',
      face: lock,
      bind: ({ process }, buffer, byteOffset) => lock.bind(process, buffer, byteOffset),
      unbind: () => lock.unbind(),
    });
  }

  lwlocks(name: string, count: number): readonly Lwlock[] {
    checkName('lwlocks', name);
    if (!Number.isInteger(count) || count < 1 || count > LWLOCKS_MAX) {
      throw new BgworkerError('ERR_INVALID_OPTION', messages.lockCount(name, LWLOCKS_MAX, count));
    }
    const locks = Array.from({ length: count }, (_, index) => new Lwlock(`${name}[${index}]`));
    return this.#add<readonly Lwlock[]>({
      key: `lwlock:${name}`,
      what: `locks "${name}"`,
      bytes: count * PADDED_LWLOCK_BYTES,
      shape: `lwlocks ${count}`,
      face: Object.freeze(locks),
      bind: ({ process }, buffer, byteOffset) => {
        for (const [index, lock] of locks.entries()) {
          lock.bind(process, buffer, byteOffset + index * PADDED_LWLOCK_BYTES);
        }
      },
      unbind: () => {
        for (const lock of locks) lock.unbind();
      },
    });
  }

  conditionVariable(name: string): ConditionVariable {
    checkName('conditionVariable', name);
    const variable = new ConditionVariable(name);
    return this.#add<ConditionVariable>({
      key: `cv:${name}`,
      what: `condition variable "${name}"`,
      bytes: CONDITION_VARIABLE_BYTES,
      shape: 'cv',
      face: variable,
      bind: (attached, buffer, byteOffset) => variable.bind(attached, buffer, byteOffset),
      unbind: () => variable.unbind(),
    });
  }

  barrier(name: string, options: BarrierOptions = {}): Barrier {
    checkName('barrier', name);
    const barrier = new Barrier(name, options);
    return this.#add<Barrier>({
      key: `barrier:${name}`,
      what: `barrier "${name}"`,
      bytes: BARRIER_BYTES,
      shape: `barrier ${options.participants ?? 0}`,
      face: barrier,
      bind: (attached, buffer, byteOffset) => barrier.bind(attached, buffer, byteOffset),
      unbind: () => barrier.unbind(),
      // Zero is a dynamic one.
      ...(barrier.isStatic && { initialise: () => barrier.initialise() }),
      verify: () => barrier.verify(),
    });
  }

  protected get items(): ReadonlyMap<string, Item> {
    return this.#items;
  }

  /** What was asked for before somewhere else, and is bound in this process, too. */
  protected knownBefore(_key: string): Item | undefined {
    return undefined;
  }

  /** Is it open to new names, and what is to be done with one? Throws if it is not. */
  protected abstract admit(item: Item): void;

  #add<Face>(item: Item): Face {
    const before = this.#items.get(item.key) ?? this.knownBefore(item.key);
    if (before === undefined) {
      this.admit(item);
      this.#items.set(item.key, item);
      return item.face as Face;
    }
    if (before.shape !== item.shape) {
      throw new BgworkerError('ERR_INVALID_OPTION', messages.otherShape(item.what));
    }
    return before.face as Face;
  }
}

/** What preload modules ask for, before there is memory. */
export class SharedRequests extends Names {
  readonly #checkOpen: (verb: string) => void;
  #reservedBytes = 0;

  /** `checkOpen` throws once init() is over. */
  constructor(checkOpen: (verb: string) => void) {
    super();
    this.#checkOpen = checkOpen;
  }

  /** Room, in bytes, for what running processes ask for by name (RequestAddinShmemSpace). */
  reserve(bytes: number): void {
    this.#checkOpen('shmem.reserve()');
    if (!Number.isInteger(bytes) || bytes < 1 || bytes > ROOM_MAX_BYTES) {
      const problem = messages.reservedBytes(ROOM_MAX_BYTES, bytes);
      throw new BgworkerError('ERR_INVALID_OPTION', problem);
    }
    this.#requireRoom('shmem.reserve()', bytes);
    this.#reservedBytes += bytes;
  }

  /** What the main area needs for all of it. */
  get totalBytes(): number {
    let total = wholeLines(this.#reservedBytes);
    for (const { bytes } of this.items.values()) total += wholeLines(bytes);
    return total;
  }

  /** Is there something to be initialised, whose failure is the failure of the start? */
  get needsStartup(): boolean {
    for (const { initialise } of this.items.values()) if (initialise !== undefined) return true;
    return false;
  }

  /** In a process that has attached, before any of its own code. */
  bind(attached: Attached): void {
    for (const item of this.items.values()) claim(attached, item);
  }

  find(key: string): Item | undefined {
    return this.items.get(key);
  }

  protected override admit({ what, bytes }: Item): void {
    this.#checkOpen(what);
    this.#requireRoom(what, bytes);
    if (this.items.size < NAMES_MAX) return;
    throw new BgworkerError('ERR_SHMEM_TOO_MANY_NAMES', messages.tooManyNames(what, NAMES_MAX));
  }

  #requireRoom(what: string, bytes: number): void {
    if (this.totalBytes + wholeLines(bytes) <= ROOM_MAX_BYTES) return;
    throw new BgworkerError('ERR_SHMEM_OUT_OF_SPACE', messages.roomExceeded(what, ROOM_MAX_BYTES));
  }
}

/** What a running process asks for. What its preload modules asked for is the same thing here. */
export class AttachedNames extends Names {
  readonly #attached: Attached;
  readonly #requests: SharedRequests;

  constructor(attached: Attached, requests: SharedRequests) {
    super();
    this.#attached = attached;
    this.#requests = requests;
  }

  protected override knownBefore(key: string): Item | undefined {
    return this.#requests.find(key);
  }

  protected override admit(item: Item): void {
    claim(this.#attached, item);
  }
}

/** Finds it or creates it; waits while another process initialises it. */
function claim(attached: Attached, item: Item): void {
  const { attachment } = attached;
  const { key, bytes } = item;
  const { offset, claim: number } = asked(item.what, () => attachment.claimStruct(key, bytes));
  item.bind(attached, attachment.fixed, offset);
  if (number === undefined) return item.verify?.();
  try {
    item.initialise?.();
    attachment.publishStruct(number);
  } catch (error) {
    item.unbind();
    attachment.abandonStruct(number);
    throw error;
  }
}

/** kDirectoryCapacity */
const NAMES_MAX = 256;

/** As the directory counts it (Directory::structSpace). */
function wholeLines(bytes: number): number {
  return Math.ceil(bytes / CACHE_LINE_BYTES) * CACHE_LINE_BYTES;
}

const CACHE_LINE_BYTES = 64;
/** kMostStructBytes */
const ROOM_MAX_BYTES = 3 * 2 ** 30;

/** Others block until it is done: whoever awaits something here makes them block for long. */
export function synchronously(name: string, initialise: () => unknown): void {
  const returned = initialise();
  if (typeof (returned as PromiseLike<unknown> | undefined)?.then === 'function') {
    throw new BgworkerError('ERR_INVALID_OPTION', messages.initialiserWaits(name));
  }
}
