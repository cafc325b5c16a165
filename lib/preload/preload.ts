// preload.ts: the preload modules (shared_preload_libraries) and what they register.
//
// Runs in the launcher, and in an exec'ed worker, which loads the same modules to find its closure
// again. Nothing is checked here but what only this process can see: whether `main` is a function
// and whether `arg` can travel. The rules are the postmaster's, in register/check.ts.

import { existsSync } from 'node:fs';
import { BgworkerError } from '../errors.ts';
import type { Logger } from '../log.ts';
import * as messages from '../messages.ts';
import type { BackendMain, BackendOptions } from '../run/backend-options.ts';
import { importModule } from '../run/import-module.ts';
import type { StartupHook } from '../run/initialize-memory.ts';
import type { BackendSource } from '../run/run-backend.ts';
import type { WorkerSource } from '../run/run-worker.ts';
import {
  checkStartup,
  type RegisteredStartup,
  type StartupMain,
  type StartupOptions,
} from '../run/startup-options.ts';
import type { BackgroundWorkerOptions, WorkerMain } from '../run/worker-options.ts';
import { type SharedNames, SharedRequests } from '../shared/names.ts';
import type { AnnouncedBackend, AnnouncedWorker } from '../travel/notes.ts';
import type { QuietWatch } from './quiet.ts';

/** What init() gets: the postmaster as a preload module sees it, before it runs (_PG_init). */
export interface PreloadServer {
  /**
   * Registers a static worker (RegisterBackgroundWorker). A bad registration is logged by the
   * postmaster and dropped; the server starts without it.
   *
   * @throws BgworkerError ERR_WRONG_STATE once init() is over.
   */
  registerBackgroundWorker(options: BackgroundWorkerOptions): void;
  /**
   * Says how the connections of the postmaster's option `listen` are served: each in a process of
   * its own, a fork of this one. Once for all modules. A bad registration stops the start.
   *
   * @throws BgworkerError ERR_WRONG_STATE at a second call, and once init() is over.
   */
  registerBackend(main: BackendMain, options?: BackendOptions): void;
  /**
   * Loads a module here, so that workers which are registered with it by its name have nothing to
   * load: a file: URL, an absolute path or a package. To be awaited in init().
   */
  preloadModule(module: string | URL): Promise<void>;
  /**
   * Registers the startup process: the phase is RECOVERY while it runs, HOT_STANDBY from the moment
   * when it has called reachedConsistency(), RUN when its main has returned. It runs again after
   * each crash cycle. Its failure ends the postmaster. It has shared memory, and takes no slot from
   * the workers.
   *
   * @throws BgworkerError ERR_INVALID_REGISTRATION; ERR_WRONG_STATE for a second one, beside the
   * option `postgres` (which moves the phases by itself), and once init() is over.
   */
  registerStartupProcess(main: StartupMain, options?: StartupOptions): void;
  readonly maxWorkerProcesses: number;
  readonly log: Logger;
  /** Shared memory, which only preload modules can ask for (shmem_request_hook). */
  readonly shmem: PreloadSharedMemory;
}

export interface PreloadSharedMemory extends SharedNames {
  /**
   * Reserves room in the main area for what running processes ask for by name
   * (RequestAddinShmemSpace); what is asked for here has its own.
   *
   * @throws BgworkerError ERR_INVALID_OPTION; ERR_WRONG_STATE once init() is over.
   */
  reserve(bytes: number): void;
  /**
   * Runs when the area is there and before any worker with shared memory starts, and again after
   * every crash cycle, with all memory zero (shmem_startup_hook). What it throws ends the
   * postmaster.
   *
   * @throws BgworkerError ERR_WRONG_STATE once init() is over.
   */
  onStartup(hook: StartupHook): void;
}

interface Entry {
  readonly options: BackgroundWorkerOptions;
  readonly arg: unknown;
  readonly argProblem: string | null;
}

/** What was registered in this process, closures and arguments included. */
export class PreloadRegistry implements WorkerSource, BackendSource {
  readonly #entries: Entry[] = [];
  #backend: { readonly main: BackendMain; readonly options: BackendOptions | undefined } | null =
    null;
  /** What was asked for in shared memory. */
  readonly shared = new SharedRequests((verb) => this.#checkOpen(verb));
  readonly #hooks: StartupHook[] = [];
  #startup: RegisteredStartup | null = null;
  #isOpen = true;

  /** The startup process; null: there is none. */
  get startup(): RegisteredStartup | null {
    return this.#startup;
  }

  registerStartup(main: StartupMain, options: StartupOptions, followsPostgres: boolean): void {
    const refuse = (sentence: string) => new BgworkerError('ERR_WRONG_STATE', sentence);
    if (!this.#isOpen) throw refuse(messages.startupTooLate);
    if (followsPostgres) throw refuse(messages.startupAndPostgres);
    if (this.#startup !== null) throw refuse(messages.startupTwice);
    this.#startup = checkStartup(main, options);
  }

  get startupHooks(): readonly StartupHook[] {
    return this.#hooks;
  }

  /** Must a process initialise shared memory before the first worker is attached to it? */
  get needsStartup(): boolean {
    return this.#hooks.length > 0 || this.shared.needsStartup;
  }

  onStartup(hook: StartupHook): void {
    this.#checkOpen('shmem.onStartup()');
    if (typeof hook !== 'function') {
      const rule = 'must be a function';
      const sentence = messages.invalidOption('shmem.onStartup()', 'hook', rule, hook);
      throw new BgworkerError('ERR_INVALID_OPTION', sentence);
    }
    this.#hooks.push(hook);
  }

  #checkOpen(verb: string): void {
    if (!this.#isOpen) throw new BgworkerError('ERR_WRONG_STATE', messages.askedTooLate(verb));
  }

  add(options: BackgroundWorkerOptions): void {
    if (!this.#isOpen) {
      throw new BgworkerError('ERR_WRONG_STATE', messages.registeredTooLate(String(options?.name)));
    }
    this.#entries.push({ options, ...copyArg(options?.arg) });
  }

  setBackend(main: BackendMain, options: BackendOptions | undefined): void {
    if (!this.#isOpen) {
      throw new BgworkerError('ERR_WRONG_STATE', messages.backendTooLate);
    }
    if (this.#backend !== null) {
      throw new BgworkerError('ERR_WRONG_STATE', messages.registeredTwice);
    }
    this.#backend = { main, options };
  }

  close(): void {
    this.#isOpen = false;
  }

  backendMain(): BackendMain {
    if (this.#backend !== null) return this.#backend.main;
    throw new Error('no backend is registered in this process');
  }

  /** @throws Error if the registration of that index is not a closure: a bug of ours. */
  mainOf(index: number | null): WorkerMain {
    const options = index === null ? undefined : this.#entries[index]?.options;
    if (options !== undefined && 'main' in options) return options.main;
    throw new Error(`registration ${index} has no main function in this process`);
  }

  argOf(index: number): unknown {
    return this.#entries[index]?.arg;
  }

  announceBackend(): AnnouncedBackend | null {
    if (this.#backend === null) return null;
    const { main, options } = this.#backend;
    return { main: typeof main, options: plain(options) };
  }

  announce(): AnnouncedWorker[] {
    return this.#entries.map(({ options, argProblem }) => ({
      options: withoutFunctions(options),
      argProblem,
    }));
  }
}

/** The copy of the moment: what the module changes afterwards is its own business. */
function copyArg(arg: unknown): { arg: unknown; argProblem: string | null } {
  try {
    return { arg: structuredClone(arg), argProblem: null };
  } catch (error) {
    return { arg: undefined, argProblem: error instanceof Error ? error.message : String(error) };
  }
}

/** A closure cannot travel, so what stands for it is its type; URLs travel as strings. */
function withoutFunctions(options: unknown): unknown {
  if (typeof options !== 'object' || options === null) return options;
  const travelling: Record<string, unknown> = {};
  for (const [key, value] of Object.entries(options)) {
    if (key === 'arg') continue;
    travelling[key] = key === 'main' ? typeof value : plain(value);
  }
  return travelling;
}

function plain(value: unknown): unknown {
  if (value instanceof URL) return value.href;
  if (value instanceof Uint8Array) return value;
  if (typeof value === 'function' || typeof value === 'symbol') return `a ${typeof value}`;
  if (Array.isArray(value)) return value.map(plain);
  if (typeof value !== 'object' || value === null) return value;
  return Object.fromEntries(Object.entries(value).map(([key, inner]) => [key, plain(inner)]));
}

export interface Preloaded {
  readonly registry: PreloadRegistry;
  /** The modules that declare `export const launch = 'exec'`: they keep threads of their own. */
  readonly needExec: readonly string[];
}

/**
 * Loads the modules in order and runs their init(). With a watch, each must leave the process
 * as quiet as it was, unless it declares that its workers are to be exec'ed.
 *
 * @throws BgworkerError ERR_PRELOAD_FAILED, ERR_PRELOAD_NOT_QUIET
 */
export async function preload(
  modules: readonly string[],
  settings: {
    readonly maxWorkerProcesses: number;
    /** A database moves the phases. */
    readonly postgres?: boolean;
    readonly log: Logger;
    /** Called before each module. */
    begin?(module: string): void;
  },
  watch: QuietWatch | null,
): Promise<Preloaded> {
  const registry = new PreloadRegistry();
  const needExec: string[] = [];
  const server: PreloadServer = {
    registerBackgroundWorker: (options) => registry.add(options),
    registerBackend: (main, options) => registry.setBackend(main, options),
    preloadModule: async (module) => {
      await importModule(String(module));
    },
    registerStartupProcess: (main, options = {}) =>
      registry.registerStartup(main, options, settings.postgres === true),
    maxWorkerProcesses: settings.maxWorkerProcesses,
    log: settings.log,
    shmem: sharedMemoryOf(registry),
  };
  for (const module of modules) {
    settings.begin?.(module);
    if (await initModule(module, server)) needExec.push(module);
    if (watch !== null && needExec.length === 0) {
      const left = await watch.findUnquiet();
      if (left.length > 0) {
        throw new BgworkerError('ERR_PRELOAD_NOT_QUIET', messages.preloadNotQuiet(module, left));
      }
    }
  }
  registry.close();
  return { registry, needExec };
}

function sharedMemoryOf(registry: PreloadRegistry): PreloadSharedMemory {
  const { shared } = registry;
  return {
    struct: (name, layout, initialise) => shared.struct(name, layout, initialise),
    lwlock: (name) => shared.lwlock(name),
    lwlocks: (name, count) => shared.lwlocks(name, count),
    conditionVariable: (name) => shared.conditionVariable(name),
    barrier: (name, options) => shared.barrier(name, options),
    reserve: (bytes) => shared.reserve(bytes),
    onStartup: (hook) => registry.onStartup(hook),
  };
}

/** Gives whether the module needs its workers exec'ed. */
async function initModule(module: string, server: PreloadServer): Promise<boolean> {
  try {
    // node's own error would name this library's file as the one that imports it.
    if (!existsSync(new URL(module))) throw new Error(messages.noSuchFile);
    const loaded = await importModule(module);
    const init = loaded.init;
    if (typeof init !== 'function') {
      throw new Error(messages.initMissing(Object.keys(loaded)));
    }
    await init(server);
    return loaded.launch === 'exec';
  } catch (cause) {
    throw new BgworkerError('ERR_PRELOAD_FAILED', messages.preloadFailed(module, cause), { cause });
  }
}
