// activity.ts: what this process says of itself in shared memory: the database that it is connected
// to, and what it runs (pgstat_report_activity).
//
// Its own words come before the statement that runs, which comes by itself.

/** The room there is, native/core/shm/activity_table.h; a character that does not fit is left out. */
const DATABASE_MAX_BYTES = 64;
const ACTIVITY_MAX_BYTES = 944;

const encoder = new TextEncoder();

export class Activity {
  readonly #write: (database: Uint8Array, activity: Uint8Array) => void;
  readonly #database = new Uint8Array(DATABASE_MAX_BYTES);
  readonly #activity = new Uint8Array(ACTIVITY_MAX_BYTES);
  #databaseBytes = 0;
  #own: string | null = null;
  #statement: string | null = null;

  constructor(write: (database: Uint8Array, activity: Uint8Array) => void) {
    this.#write = write;
    // Who had the slot before may have died with words in it.
    this.#show();
  }

  get own(): string | null {
    return this.#own;
  }

  set own(text: string | null) {
    this.#own = text;
    this.#show();
  }

  /** null: nothing runs. */
  set statement(text: string | null) {
    if (this.#statement === text) return;
    this.#statement = text;
    if (this.#own === null) this.#show();
  }

  /** null: it is connected to none. */
  set database(name: string | null) {
    this.#databaseBytes = encoder.encodeInto(name ?? '', this.#database).written;
    this.#show();
  }

  #show(): void {
    const { written } = encoder.encodeInto(this.#own ?? this.#statement ?? '', this.#activity);
    const database = this.#database.subarray(0, this.#databaseBytes);
    this.#write(database, this.#activity.subarray(0, written));
  }
}
