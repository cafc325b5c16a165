// argument.ts: the argument of a dynamic worker, from the bytes that come over the control socket to
// the children that are started with it. Opaque: it is deserialized in the worker and nowhere else.
//
// A short one is kept in memory and travels with the fork. A long one is written to a memory file as
// it arrives, and each child gets the descriptor: the postmaster's heap does not grow with it. (A
// dynamic segment would do as well, but somebody would have to unpin it when the worker is
// forgotten, and the postmaster never touches those.)

import { closeSync, writeSync } from 'node:fs';
import type { SlotIndex } from '../model/state.ts';
import { native } from '../native.ts';
import { INLINE_ARGUMENT_BYTES } from './limits.ts';

export type Argument =
  | { readonly kind: 'bytes'; readonly bytes: Buffer }
  /** Sealed: no child can change it for the next one. */
  | { readonly kind: 'file'; readonly descriptor: number };

/** Takes the bytes as they come. Ends in exactly one of finish() and abandon(). */
export class ArgumentReceiver {
  readonly #chunks: Buffer[] = [];
  readonly #file: number | null;
  #written = 0;

  /** Throws what memfd_create(2) says, of a long one. */
  constructor(bytes: number) {
    this.#file = bytes > INLINE_ARGUMENT_BYTES ? native.memoryFile() : null;
  }

  /** Throws what write(2) says. */
  write(chunk: Uint8Array): void {
    if (this.#file === null) {
      // A copy: the chunk is a view of a buffer that may be much larger.
      this.#chunks.push(Buffer.from(chunk));
      return;
    }
    for (let done = 0; done < chunk.length; ) {
      const count = writeSync(this.#file, chunk, done, chunk.length - done, this.#written);
      done += count;
      this.#written += count;
    }
  }

  finish(): Argument {
    if (this.#file === null) return { kind: 'bytes', bytes: Buffer.concat(this.#chunks) };
    native.sealFile(this.#file);
    return { kind: 'file', descriptor: this.#file };
  }

  abandon(): void {
    if (this.#file !== null) closeSync(this.#file);
  }
}

/** Of bytes that are all there. */
export function argumentOf(bytes: Uint8Array): Argument {
  const receiver = new ArgumentReceiver(bytes.length);
  try {
    receiver.write(bytes);
    return receiver.finish();
  } catch (error) {
    receiver.abandon();
    throw error;
  }
}

export function discard(argument: Argument | null): void {
  if (argument?.kind === 'file') closeSync(argument.descriptor);
}

/** The arguments of all dynamic workers, by slot, as long as each has it. */
export class Arguments {
  readonly #bySlot = new Map<SlotIndex, Argument>();

  keep(slot: SlotIndex, argument: Argument): void {
    this.#bySlot.set(slot, argument);
  }

  of(slot: SlotIndex): Argument | null {
    return this.#bySlot.get(slot) ?? null;
  }

  /** The worker is forgotten. Idempotent. */
  forget(slot: SlotIndex): void {
    discard(this.of(slot));
    this.#bySlot.delete(slot);
  }

  close(): void {
    for (const slot of this.#bySlot.keys()) this.forget(slot);
  }
}
