// shared-memory.ts: the postmaster's hold on shared memory: the main area and the doorbells.
//
// The area is made when the launcher's modules have said how much they need, and made anew by every
// crash cycle. The doorbells live as long as the postmaster, so that their numbers can be inherited
// once. It believes nothing that stands in the area: what the slots show is kept here as well.

import { closeSync } from 'node:fs';
import type { SlotIndex, Worker } from '../model/state.ts';
import { type MainArea, native, type SlotPid } from '../native.ts';

/** What a slot shows in place of a pid (InvalidPid, and 0). */
const NOT_YET_STARTED = -1;
const STOPPED = 0;

interface Shown {
  readonly generation: bigint;
  readonly pid: SlotPid;
}

/** PostgreSQL's NAMEDATALEN - 1: of a longer name, it takes so much for the name. */
const DATABASE_NAME_BYTES = 63;

export class SharedMemory {
  /** One for each slot; whoever is given them gets copies. */
  readonly doorbells: readonly number[];
  readonly #slotCount: number;
  readonly #shown = new Map<SlotIndex, Shown>();
  #area: MainArea | null = null;

  constructor(slotCount: number) {
    this.#slotCount = slotCount;
    this.doorbells = native.makeDoorbells(slotCount);
  }

  /** null: no launcher has said yet how large it is. */
  get area(): MainArea | null {
    return this.#area;
  }

  /** For a launcher that is new: the fresh area of a crash cycle, if it has the size. */
  areaFor(structBytes: number): MainArea {
    return this.#area?.structBytes === structBytes ? this.#area : this.#renew(structBytes);
  }

  /** All of it anew, zero but for the slots. null: there was none. */
  reset(workers: Iterable<Worker>): MainArea | null {
    this.#shown.clear();
    for (const worker of workers) this.#show(worker, NOT_YET_STARTED);
    return this.#area === null ? null : this.#renew(this.#area.structBytes);
  }

  /** Shows where a worker stands; `isKnown`: its slot was in use before. */
  publish(worker: Worker, isKnown: boolean): void {
    // Between the request for a process and the process, nothing new is to be seen.
    if (worker.standing.kind === 'forking') return;
    const { generation, pid } = this.#show(worker, isKnown ? STOPPED : NOT_YET_STARTED);
    this.#area?.publish(worker.slot, generation, pid);
  }

  release(slot: SlotIndex): void {
    this.#shown.delete(slot);
    this.#area?.release(slot);
  }

  /** Did the process in this slot leave without its exit cleanup? Asked once, when it is reaped. */
  takeDeadMan(slot: SlotIndex): boolean {
    return this.#area?.takeDeadMan(slot) ?? false;
  }

  /** What the process in this slot says of itself. */
  activityOf(slot: SlotIndex): { database: string | null; activity: string | null } {
    const said = this.#area?.readActivity(slot) ?? null;
    return { database: shown(said?.database), activity: shown(said?.activity) };
  }

  /** The same, of one that has been reaped, and for the last time. */
  takeActivity(slot: SlotIndex): string | null {
    const { activity } = this.activityOf(slot);
    this.#area?.clearActivity(slot);
    return activity;
  }

  /** Does the process in this slot say that it is connected to this database? */
  isConnectedTo(slot: SlotIndex, database: string): boolean {
    const said = this.#area?.readActivity(slot)?.database ?? Buffer.alloc(0);
    return said.length > 0 && nameOf(said).equals(nameOf(Buffer.from(database)));
  }

  close(): void {
    this.#area?.close();
    for (const doorbell of this.doorbells) closeSync(doorbell);
  }

  #show({ slot, generation, standing }: Worker, without: SlotPid): Shown {
    const shown = { generation, pid: 'pid' in standing ? standing.pid : without };
    this.#shown.set(slot, shown);
    return shown;
  }

  #renew(structBytes: number): MainArea {
    const area = native.MainArea.create(this.#slotCount, structBytes);
    this.#area?.close();
    this.#area = area;
    for (const [slot, { generation, pid }] of this.#shown) area.publish(slot, generation, pid);
    return area;
  }
}

/** Any bytes, made fit to be shown in one line; null: there are none. */
function shown(bytes: Buffer | undefined): string | null {
  if (bytes === undefined || bytes.length === 0) return null;
  // What is no UTF-8 becomes U+FFFD here.
  return bytes.toString('utf8').replaceAll(/[\p{Cc}\u2028\u2029]/gu, ' ');
}

function nameOf(bytes: Buffer): Buffer {
  return bytes.subarray(0, DATABASE_NAME_BYTES);
}
