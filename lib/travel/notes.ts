// notes.ts: what travels between the postmaster, the launcher and its children.
//
// The three are programs of their own and meet in these types only. Notes go as v8-serialized
// values, which keep what JSON loses (undefined, NaN, bigint); the payload of a fork goes as JSON,
// which costs the child the least.

import { deserialize, serialize } from 'node:v8';
import type { LogOptions } from '../log.ts';
import type { BackendRegistration } from '../model/clients.ts';
import type { FollowedDatabase } from '../model/followed.ts';
import { NAME_MAX_BYTES, type Registration } from '../model/registration.ts';
import type { Peer } from '../native.ts';
import type { ControlPlace } from './control.ts';

/** The descriptors that a launcher and an exec'ed worker find open, by number. */
export const CONTROL_DESCRIPTOR = 3;
/** Readable (end of file) once the postmaster is dead. */
export const DEATH_DESCRIPTOR = 4;
/** The main area, of an exec'ed worker that is attached. The launcher gets it as a message. */
export const AREA_DESCRIPTOR = 5;
/** The first word of a startup process, if it has come so far; what follows is its failure. */
export const STARTUP_CONSISTENT = 'consistent\n';
/** How much of its failure it tells; less than a pipe holds, so that it never waits for a reader. */
export const STARTUP_WORDS_MAX_BYTES = 4_096;
/** It has the first slot for itself: whoever is attached later has not come yet. */
export const INITIALIZER_SLOT = 0;
/** Launcher and its forks: the doorbell of slot 0, which those of the other slots follow. */
export const FIRST_DOORBELL = 6;

/**
 * The last argument of a launcher and of an exec'ed worker. A process title is written over the
 * arguments and ends where they end: this is the room for the longest name.
 */
export const TITLE_ROOM = '-'.repeat('bgworker: '.length + NAME_MAX_BYTES);

/** postmaster → launcher, and → exec'ed worker: how to come up. */
export interface LauncherConfig {
  /** URLs of the preload modules, in order. */
  readonly preload: readonly string[];
  readonly maxWorkerProcesses: number;
  /** Of the main area: those of the workers, of the backends, and of the startup process. */
  readonly slotCount: number;
  readonly log: LogOptions;
  /** Workers will connect: load the client library before the first fork. */
  readonly postgres: boolean;
  /** Where workers register workers of their own. */
  readonly control: ControlPlace;
}

/** What an exec'ed worker gets instead of the memory of a fork. */
export interface ExecedWorkerConfig extends LauncherConfig {
  readonly errand: Errand;
}

/** launcher → postmaster, once, before its loop. */
export type Announcement =
  | {
      readonly kind: 'ready';
      readonly workers: readonly AnnouncedWorker[];
      /** null: nobody has called registerBackend(). */
      readonly backend: AnnouncedBackend | null;
      /** The preload modules that declare `export const launch = 'exec'`. */
      readonly needExec: readonly string[];
      /** What the modules' structures need in the main area. */
      readonly structBytes: number;
      /** Somebody wants to initialise them. */
      readonly startupHooks: boolean;
      /** The name of the startup process; null: there is none. */
      readonly startupProcess: string | null;
    }
  | {
      readonly kind: 'refused';
      readonly code: 'ERR_PRELOAD_FAILED' | 'ERR_PRELOAD_NOT_QUIET';
      readonly message: string;
      readonly stack: string | null;
    };

/** A call of registerBackgroundWorker(), unchecked, in the order of the calls. */
export interface AnnouncedWorker {
  /** The options, with `main` replaced by what typeof says of it. */
  readonly options: unknown;
  /** Why the argument cannot travel, or null. */
  readonly argProblem: string | null;
}

/** The call of registerBackend(), unchecked. */
export interface AnnouncedBackend {
  /** What typeof says of it. */
  readonly main: string;
  readonly options: unknown;
}

/** postmaster → child, with the fork. */
export type ChildPayload =
  | { readonly kind: 'self-test' }
  /** To run the start-up hooks; its one descriptor is where it tells its failure. */
  | { readonly kind: 'initialize' }
  /** The startup process; its one descriptor is where it says how far it is. */
  | { readonly kind: 'startup'; readonly start: WorkerStart }
  | { readonly kind: 'worker'; readonly start: WorkerStart }
  /** Its one descriptor is the client's connection, or the socket on which that will come. */
  | { readonly kind: 'backend'; readonly start: BackendStart };

/** What a child is for; the self-test is the launcher's own affair. */
export type Errand = Exclude<ChildPayload, { kind: 'self-test' }>;

/** What each of these knows of itself when it starts. */
export interface ProcessStart {
  readonly slot: number;
  readonly registration: Pick<Registration, 'name' | 'type' | 'flags' | 'database' | 'user'>;
  /** Where connect() goes; null if the postmaster follows no database. */
  readonly database: FollowedDatabase | null;
}

export interface WorkerStart extends ProcessStart {
  readonly registration: Registration;
  /** Which of the launcher's registrations it is; null for a dynamic worker. */
  readonly staticIndex: number | null;
  /** What a dynamic worker was registered with; null: nothing, or it is a static one. */
  readonly argument: TravellingArgument | null;
}

export interface BackendStart extends ProcessStart {
  readonly registration: Omit<BackendRegistration, 'refusals'>;
  /** null: a spare one, whose client is still to come. */
  readonly peer: Peer | null;
}

/** Serialized (v8.serialize), to be read in the worker and nowhere else. */
export type TravellingArgument =
  | { readonly kind: 'inline'; readonly base64: string }
  /** A memory file, which the child is given with the fork. */
  | { readonly kind: 'file' };

export function encodeNote(note: LauncherConfig | ExecedWorkerConfig | Announcement): Buffer {
  return serialize(note);
}

export function decodeNote<T extends LauncherConfig | ExecedWorkerConfig | Announcement>(
  body: Uint8Array,
): T {
  return deserialize(body) as T;
}

export function encodePayload(payload: ChildPayload): Uint8Array {
  return Buffer.from(JSON.stringify(payload));
}

export function decodePayload(body: Buffer): ChildPayload {
  return JSON.parse(body.toString()) as ChildPayload;
}
