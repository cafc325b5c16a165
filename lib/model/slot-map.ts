// slot-map.ts: an immutable map from slots to what is in them, cheap to change by one.
//
// with() and without() copy one page and the list of pages. A plain Map copied whole at each
// change made the postmaster spend half a millisecond on each event of 5,000 workers, and a stop
// of them two seconds in a single turn.

const PAGE_SLOTS = 64;

type Page<T> = readonly (T | undefined)[];

export class SlotMap<T> implements ReadonlyMap<number, T> {
  readonly size: number;
  readonly #pages: readonly (Page<T> | undefined)[];
  /** In slot order; made when first asked for, because most maps are replaced before that. */
  #values: readonly T[] | null = null;

  private constructor(pages: readonly (Page<T> | undefined)[], size: number) {
    this.#pages = pages;
    this.size = size;
  }

  static of<T>(entries: Iterable<readonly [slot: number, value: T]> = []): SlotMap<T> {
    let map = new SlotMap<T>([], 0);
    for (const [slot, value] of entries) map = map.with(slot, value);
    return map;
  }

  get(slot: number): T | undefined {
    return this.#pages[Math.floor(slot / PAGE_SLOTS)]?.[slot % PAGE_SLOTS];
  }

  has(slot: number): boolean {
    return this.get(slot) !== undefined;
  }

  with(slot: number, value: T): SlotMap<T> {
    return this.#changed(slot, value, this.has(slot) ? this.size : this.size + 1);
  }

  without(slot: number): SlotMap<T> {
    return this.has(slot) ? this.#changed(slot, undefined, this.size - 1) : this;
  }

  /** The same slots with other things in them. */
  map(change: (value: T) => T): SlotMap<T> {
    const pages = this.#pages.map((page) =>
      page?.map((value) => (value === undefined ? undefined : change(value))),
    );
    return new SlotMap(pages, this.size);
  }

  values(): MapIterator<T> {
    if (this.#values === null) {
      // Loops, not flatMap and filter: this is most of what a turn with 5,000 workers costs.
      const values: T[] = [];
      for (const page of this.#pages) {
        if (page === undefined) continue;
        for (const value of page) if (value !== undefined) values.push(value);
      }
      this.#values = values;
    }
    return this.#values.values();
  }

  keys(): MapIterator<number> {
    return [...this].map(([slot]) => slot).values();
  }

  entries(): MapIterator<[number, T]> {
    const entries: [number, T][] = [];
    this.forEach((value, slot) => {
      entries.push([slot, value]);
    });
    return entries.values();
  }

  [Symbol.iterator](): MapIterator<[number, T]> {
    return this.entries();
  }

  forEach(visit: (value: T, slot: number, map: ReadonlyMap<number, T>) => void): void {
    for (const [index, page] of this.#pages.entries()) {
      page?.forEach((value, offset) => {
        if (value !== undefined) visit(value, index * PAGE_SLOTS + offset, this);
      });
    }
  }

  #changed(slot: number, value: T | undefined, size: number): SlotMap<T> {
    const index = Math.floor(slot / PAGE_SLOTS);
    const pages = this.#pages.slice();
    while (pages.length <= index) pages.push(undefined);
    const page = pages[index]?.slice() ?? new Array<T | undefined>(PAGE_SLOTS).fill(undefined);
    page[slot % PAGE_SLOTS] = value;
    pages[index] = page;
    return new SlotMap(pages, size);
  }
}
