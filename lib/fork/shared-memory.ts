// shared-memory.ts: the postmaster's hold on shared memory: the main area and the doorbells.
//
// The area is made when the launcher's modules have said how much they need, and made anew by every
// crash cycle. The doorbells live as long as the postmaster, so that their numbers can be inherited
// once. It believes nothing that stands in the area: what the slots show is kept here as well.

import { closeSync } from 'node:fs';
import type { Place } from '../model/clients.ts';
import { statusOfWorker } from '../model/handle.ts';
import type { SlotIndex, Worker } from '../model/state.ts';
import { type Inventory, type MainArea, native, type SlotPid } from '../native.ts';
import { safeText } from '../safe-text.ts';

/** What a slot shows in place of a pid (InvalidPid, and 0). */
const NO_PID = { NOT_YET_STARTED: -1, STOPPED: 0 } as const;

interface Shown {
  readonly generation: bigint;
  readonly pid: SlotPid;
}

/** PostgreSQL's NAMEDATALEN - 1: of a longer name, it takes so much for the name. */
const DATABASE_NAME_BYTES = 63;

export class SharedMemory {
  /** One for each slot; whoever is given them gets copies. */
  readonly doorbells: readonly number[];
  readonly slotCount: number;
  /** Where the startup process is, if there is one. */
  readonly startupSlot: SlotIndex;
  readonly #workerSlots: number;
  readonly #shown = new Map<SlotIndex, Shown>();
  #area: MainArea | null = null;
  /** So that no two backends of one slot look alike. */
  #backendGeneration = 0n;

  /** The slots of the workers, behind them those of the backends, and the startup process's last. */
  constructor(workerSlots: number, backendSlots: number) {
    this.#workerSlots = workerSlots;
    this.startupSlot = workerSlots + backendSlots;
    this.slotCount = this.startupSlot + 1;
    this.doorbells = native.makeDoorbells(this.slotCount);
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
    for (const slot of this.#shown.keys()) {
      if (slot < this.#workerSlots) this.#shown.delete(slot);
    }
    for (const worker of workers) this.#show(worker);
    return this.#area === null ? null : this.#renew(this.#area.structBytes);
  }

  /** Shows where a worker stands. */
  publish(worker: Worker): void {
    // Between the request for a process and the process, nothing new is to be seen.
    if (worker.standing.kind === 'forking') return;
    const { generation, pid } = this.#show(worker);
    this.#area?.publish(worker.slot, generation, pid);
  }

  /** Shows the process of a backend; `place`: which of the backends' slots it has. */
  occupy(place: Place, pid: SlotPid): void {
    const slot = this.slotOf(place);
    const generation = ++this.#backendGeneration;
    this.#shown.set(slot, { generation, pid });
    this.#area?.publish(slot, generation, pid);
  }

  slotOf(place: Place): SlotIndex {
    return this.#workerSlots + place;
  }

  release(slot: SlotIndex): void {
    this.#shown.delete(slot);
    this.#area?.release(slot);
  }

  /** Did the process in this slot leave without its exit cleanup? Asked once, when it is reaped. */
  takeDeadMan(slot: SlotIndex): boolean {
    return this.#area?.takeDeadMan(slot) ?? false;
  }

  /** What lies in it; null: there is none yet. Dynamic segments are not mapped here. */
  inventory(): Inventory | null {
    return this.#area?.inventory() ?? null;
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
    this.#area = null;
    for (const doorbell of this.doorbells) closeSync(doorbell);
  }

  #show(worker: Worker): Shown {
    const seen = statusOfWorker(worker);
    const pid = seen.status === 'STARTED' ? seen.pid : NO_PID[seen.status];
    const shown = { generation: worker.generation, pid };
    this.#shown.set(worker.slot, shown);
    return shown;
  }

  #renew(structBytes: number): MainArea {
    const area = native.MainArea.create(this.slotCount, structBytes);
    this.#area?.close();
    this.#area = area;
    for (const [slot, { generation, pid }] of this.#shown) area.publish(slot, generation, pid);
    return area;
  }
}

/** Any bytes, made fit to be shown in one line; null: there are none. */
function shown(bytes: Buffer | undefined): string | null {
  if (bytes === undefined || bytes.length === 0) return null;
  // What is no UTF-8 becomes U+FFFD here. A statement may have many lines, and is shown in one.
  return safeText(bytes.toString('utf8').replaceAll(/\s/gu, ' '));
}

function nameOf(bytes: Buffer): Buffer {
  return bytes.subarray(0, DATABASE_NAME_BYTES);
}
