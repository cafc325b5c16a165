// watches.ts: who wants to hear of which handle, and what each was told last.
//
// A client hears each change of a status once, in order. STOPPED for good is told when the slot is
// free again and not before, so that who registers the next worker as soon as he hears it finds
// room (ReportBackgroundWorkerExit).

import type { ExitCause } from '../model/exit.ts';
import { type HandleId, type HandleStatus, statusOf } from '../model/handle.ts';
import type { SlotIndex, State } from '../model/state.ts';
import { type News, travelling } from '../travel/control.ts';

interface Watch<Client> {
  readonly id: HandleId;
  readonly clients: Set<Client>;
  told: HandleStatus;
  /** Of its process, as long as nobody was told of it. */
  exit: ExitCause | null;
}

export interface Told<Client> {
  readonly client: Client;
  readonly news: News;
}

export class Watches<Client> {
  /** By slot: a slot has one generation at a time, and what is watched of it ends with that. */
  readonly #bySlot = new Map<SlotIndex, Watch<Client>>();

  get size(): number {
    return this.#bySlot.size;
  }

  /** Nothing, if the handle is stale: there is nothing to be heard of it any more. */
  add(client: Client, { slot, generation }: HandleId, state: State): void {
    if (!isThere({ slot, generation }, state)) return;
    const watch = this.#bySlot.get(slot);
    if (watch?.id.generation === generation) {
      watch.clients.add(client);
      return;
    }
    const id = { slot, generation };
    const told = statusOf(state, id);
    this.#bySlot.set(slot, { id, clients: new Set([client]), told, exit: null });
  }

  /** What is to be said after an event about one slot, or, null, about any. */
  *changed(
    about: SlotIndex | null,
    after: State,
    exit: ExitCause | null,
  ): Generator<Told<Client>, void> {
    for (const slot of about === null ? [...this.#bySlot.keys()] : [about]) {
      const watch = this.#bySlot.get(slot);
      if (watch === undefined) continue;
      watch.exit = exit ?? watch.exit;
      const news = this.#newsOf(watch, after);
      if (news === null) continue;
      for (const client of watch.clients) yield { client, news };
    }
  }

  leave(client: Client): void {
    for (const [slot, { clients }] of this.#bySlot) {
      if (clients.delete(client) && clients.size === 0) this.#bySlot.delete(slot);
    }
  }

  #newsOf(watch: Watch<Client>, after: State): News | null {
    const { id, told } = watch;
    const isLast = !isThere(id, after);
    const status = statusOf(after, id);
    // Its end is told when it is forgotten, which comes next.
    const isEnding = !isLast && after.workers.get(id.slot)?.standing.kind === 'gone';
    if (isEnding || (!isLast && isSame(status, told))) return null;
    const { exit } = watch;
    watch.told = status;
    watch.exit = null;
    if (isLast) this.#bySlot.delete(id.slot);
    return { ...travelling(id), ...status, isLast, exit };
  }
}

function isThere({ slot, generation }: HandleId, { workers }: State): boolean {
  return workers.get(slot)?.generation === generation;
}

function isSame(one: HandleStatus, other: HandleStatus): boolean {
  if (one.status !== other.status) return false;
  return one.status !== 'STARTED' || (other.status === 'STARTED' && one.pid === other.pid);
}
