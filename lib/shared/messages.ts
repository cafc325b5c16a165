// messages.ts: the sentences about shared memory. Each names the thing, the rule and the remedy.

import { quote } from '../messages.ts';

export function notAttached(what: string): string {
  return `${what} lies in shared memory that is not mapped in this process; register the worker with the flag SHMEM_ACCESS, and use it from the worker's main on, and in a dynamic segment only until that is detached`;
}

// Structs.

export function structSubject(name: unknown): string {
  return typeof name === 'string' ? `shared struct "${name}"` : 'shared struct';
}

export function misplaced(what: string, alignment: number, byteOffset: number): string {
  return `${what} must start at a multiple of ${alignment} bytes, got ${quote(byteOffset)}`;
}

export function doesNotFit(what: string, byteLength: number, room: number): string {
  return `${what} needs ${byteLength} bytes, and there are ${room} of them in this place`;
}

export function bytesOutside(what: string, at: unknown, length: number, size: number): string {
  return `${what} has ${size} bytes: ${length} of them at offset ${quote(at)} are not all inside`;
}

// What has a name.

export function sharedName(verb: string, limit: number, got: unknown): string {
  return `${verb}(): name must be a string of 1 to ${limit} bytes without a NUL, got ${quote(got)}`;
}

export function otherShape(what: string): string {
  return `${what} was asked for before, in another shape; everybody who asks says the same`;
}

export function initialiserWaits(name: string): string {
  return `the initialiser of "${name}" returned a promise: everybody else is blocked until it is done, so it must be synchronous`;
}

export function reservedBytes(limit: number, got: unknown): string {
  return `shmem.reserve(): bytes must be a whole number from 1 to ${limit}, got ${quote(got)}`;
}

export function segmentSubject(handle: unknown): string {
  return `dynamic segment ${String(handle)}`;
}

export function namedSegmentSubject(name: unknown): string {
  return `dynamic segment ${quote(name)}`;
}

export function hashSubject(name: unknown): string {
  return `hash table ${quote(name)}`;
}

export function segmentDetached(handle: number): string {
  return `dynamic segment ${handle} is detached from this process; attach it again by its handle, if somebody still holds it`;
}

// Latches.

export function foreignLatch(owner: number): string {
  const whose = owner < 0 ? 'nobody' : `the process in slot ${owner}`;
  return `a process waits on its own latches only, and this one belongs to ${whose}; own() it first, if it is free`;
}

export function latchTaken(owner: number): string {
  return `this latch is owned by the process in slot ${owner}, which must disown it first`;
}

export const postmasterDied =
  'the postmaster is dead: nobody will answer this wait, and this process should leave';

export const hasLeft =
  'this process has left the shared memory in which that lies; nothing in it can be waited for';

// Locks.

export function tooManyLocks(limit: number): string {
  return `too many LWLocks taken: a process holds and waits for at most ${limit} of them; release some first`;
}

export function notHeld(name: string): string {
  return `lock "${name}" is not held by this process; each acquire is released once`;
}

export function waitsForItself(name: string): string {
  return `lock "${name}" is held or waited for by this very process: a blocking acquire would wait for ever; use acquire(), which does not block the event loop, or release it first`;
}

export function unknownLockMode(mode: unknown): string {
  return `the mode of a lock must be 'shared' or 'exclusive', got ${quote(mode)}`;
}

export function lockCount(name: string, limit: number, got: unknown): string {
  return `locks "${name}": count must be a whole number from 1 to ${limit}, got ${quote(got)}`;
}

// Barriers.

export function barrierParticipants(name: string, limit: number, got: unknown): string {
  return `barrier "${name}": participants must be a whole number from 0 (dynamic) to ${limit}, got ${quote(got)}`;
}

export function barrierIsStatic(name: string, verb: string): string {
  return `barrier "${name}" is static: its participants are attached from the beginning and stay so, and ${verb}() is for dynamic ones, which are made without participants`;
}

export function barrierNotAttached(name: string): string {
  return `barrier "${name}": this process does not take part; attach() first`;
}

export function barrierAttachedTwice(name: string): string {
  return `barrier "${name}": this process takes part already; a process attaches once`;
}

export function barrierArrivedTwice(name: string): string {
  return `barrier "${name}": this process has arrived in this phase already, and the phase is not over`;
}

// Message queues.

export function queueTooSmall(minimum: number, maximum: number, bytes: unknown): string {
  return `a message queue needs a whole number of bytes from ${minimum} to ${maximum}, got ${quote(bytes)}`;
}

export const noQueueHere =
  'there is no message queue of this size in this place; create() it in one process, and open() it in the other with the same number of bytes';

export function endTaken(end: string, slot: number): string {
  return `this message queue has its ${end} already (the process in slot ${slot}): each end is taken once, for ever; make another queue`;
}

export function messageTooLarge(bytes: number, limit: number): string {
  return `cannot send a message of size ${bytes} via a shared memory queue; the limit is ${limit} bytes`;
}

export function notBytes(got: unknown): string {
  return `a message must be a Uint8Array, got ${quote(got)}; a queue with { values: true } takes everything structured-cloneable`;
}

export const notIdentical =
  'after WOULD_BLOCK or an abort, the identical message (the same bytes in the same place) must be sent again, for a part of it is under way; or detach()';

export const otherValue =
  'after WOULD_BLOCK or an abort, the identical value must be sent again, for a part of it is under way; or detach()';

export const receiving =
  'somebody waits for a message of this queue already; await one receive() before the next';

export const queueHasLeft =
  'this process has detached from the message queue, which is for ever; make another queue';

export function queueCorrupted(problem: string): string {
  return `this message queue contradicts itself (${problem}): somebody wrote over it, and it is of no further use; detach()`;
}
