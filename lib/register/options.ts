// options.ts: what a Postmaster is made with, checked, with every default filled in.

import { resolve } from 'node:path';
import { fileURLToPath, pathToFileURL } from 'node:url';
import * as v from 'valibot';
import { BgworkerError } from '../errors.ts';
import { LOG_FORMATS, LOG_LEVELS, type LogOptions } from '../log.ts';
import { invalidOption } from '../messages.ts';
import { PARALLEL_WORKERS_MAX, WORKER_PROCESSES_MAX } from '../model/registration.ts';
import { parseConninfo } from '../postgres/conninfo/index.ts';
import {
  type CheckedClients,
  type ClientOptions,
  checkClients,
  clientEntries,
} from './listen-options.ts';
import { oneOf, validate, wholeNumber } from './validate.ts';

/** What becomes of the workers with a database connection when the server is lost. */
export const SERVER_LOSS_RULES = ['restart', 'keep'] as const;

export type ServerLossRule = (typeof SERVER_LOSS_RULES)[number];

/** An embedded server: initdb at the first start, a private Unix socket, stopped last. */
export interface EmbeddedPostgres {
  readonly embedded: true;
  /** Where initdb and postgres are. Default: the npm package, then what is installed. */
  readonly binDirectory?: string;
  /** PostgreSQL's own settings, as in postgresql.conf. */
  readonly settings?: Readonly<Record<string, string>>;
  /** See FollowedPostgres. */
  readonly onServerLoss?: ServerLossRule;
}

/** A server that exists, by a libpq connection string: keyword/value or URI. */
export interface FollowedPostgres {
  readonly conninfo: string;
  /**
   * When the server is lost: 'restart' ends the workers that need it (SIGTERM), and starts them
   * again when it is back; 'keep' leaves them alone. Others are left alone anyway. Default:
   * 'restart'.
   */
  readonly onServerLoss?: ServerLossRule;
}

export interface PostmasterOptions extends ClientOptions {
  /** Where postmaster.pid and an embedded server's files are; made if missing, one postmaster each. */
  readonly dataDirectory: string | URL;
  /** Modules whose init() registers workers (shared_preload_libraries), loaded in this order. */
  readonly preload?: readonly (string | URL)[];
  /** Slots for workers, static and dynamic together; 1 to 262 143. Default: 8. */
  readonly maxWorkerProcesses?: number;
  /** How many of them may be of the class CLASS_PARALLEL; 0 to 1024. Default: 8. */
  readonly maxParallelWorkers?: number;
  /** The database whose state moves the phases. Default: none, straight to RUN. */
  readonly postgres?: EmbeddedPostgres | FollowedPostgres;
  /** How workers without a wish of their own are launched. Default: 'fork'. */
  readonly launch?: 'fork' | 'exec';
  /** false: a crash ends the postmaster with exit status 1. Default: true. */
  readonly restartAfterCrash?: boolean;
  /** Seconds that a fast shutdown waits before it becomes rougher. Default: 60. */
  readonly shutdownTimeout?: number;
  /** Seconds until start() gives up. Default: 60. */
  readonly startTimeout?: number;
  /** Default: { level: 'info', format: 'text' }, on stderr. */
  readonly log?: Partial<LogOptions>;
  /** Take SIGTERM, SIGINT, SIGQUIT and SIGHUP as PostgreSQL's postmaster does. Default: false. */
  readonly handleSignals?: boolean;
}

/** What a bgworker.config file exports; where it names no data directory, `-D` does. */
export type PostmasterConfig = Omit<PostmasterOptions, 'dataDirectory'> &
  Partial<Pick<PostmasterOptions, 'dataDirectory'>>;

/** The same with nothing left open. */
export interface CheckedOptions {
  readonly dataDirectory: string;
  readonly preload: readonly string[];
  readonly maxWorkerProcesses: number;
  readonly maxParallelWorkers: number;
  readonly postgres: EmbeddedPostgres | FollowedPostgres | null;
  readonly launch: 'fork' | 'exec';
  readonly restartAfterCrash: boolean;
  readonly shutdownTimeout: number;
  readonly startTimeout: number;
  readonly log: LogOptions;
  readonly handleSignals: boolean;
  /** null: nobody listens. */
  readonly clients: CheckedClients | null;
}

const DAY_S = 86_400;
const PLACE_RULE = 'must be a path or a file: URL of this machine';
const SUBJECT = 'postmaster options';

/** A path, or a file: URL of this machine, as a text or as a URL. */
function isPlace(value: unknown): boolean {
  if (typeof value !== 'string' && !(value instanceof URL)) return false;
  const text = String(value);
  if (text === '' || text.includes('\0')) return false;
  if (typeof value === 'string' && !text.startsWith('file:')) return true;
  try {
    return fileURLToPath(text) !== '';
  } catch {
    return false; // Another scheme, or another machine.
  }
}

const place = v.custom<string | URL>(isPlace, PLACE_RULE);
const text = v.string('must be a text');

const POSTGRES_RULE = 'must be { embedded: true } or { conninfo: … }';

const embedded = v.strictObject(
  {
    embedded: v.literal(true, 'must be true; for a server that exists, give conninfo instead'),
    binDirectory: v.optional(text),
    settings: v.optional(v.record(v.string(), text, 'must be an object of texts')),
    onServerLoss: v.optional(oneOf(SERVER_LOSS_RULES)),
  },
  POSTGRES_RULE,
);

const followed = v.strictObject(
  { conninfo: text, onServerLoss: v.optional(oneOf(SERVER_LOSS_RULES)) },
  POSTGRES_RULE,
);

/** By what it has, not by what fits: what does not fit is then named, and no password shown. */
const postgres = v.lazy((input) =>
  typeof input === 'object' && input !== null && 'conninfo' in input ? followed : embedded,
);

const yesOrNo = v.boolean('must be true or false');

const schema = v.strictObject(
  {
    dataDirectory: place,
    preload: v.optional(v.array(place, 'must be a list of modules'), []),
    maxWorkerProcesses: v.optional(wholeNumber('', 1, WORKER_PROCESSES_MAX), 8),
    maxParallelWorkers: v.optional(wholeNumber('', 0, PARALLEL_WORKERS_MAX), 8),
    postgres: v.optional(postgres),
    launch: v.optional(oneOf(['fork', 'exec']), 'fork'),
    restartAfterCrash: v.optional(yesOrNo, true),
    shutdownTimeout: v.optional(wholeNumber('seconds', 0, DAY_S), 60),
    startTimeout: v.optional(wholeNumber('seconds', 1, DAY_S), 60),
    log: v.optional(
      v.strictObject(
        {
          level: v.optional(oneOf(LOG_LEVELS), 'info'),
          format: v.optional(oneOf(LOG_FORMATS), 'text'),
        },
        'must be { level, format }',
      ),
      {},
    ),
    handleSignals: v.optional(yesOrNo, false),
    ...clientEntries,
  },
  'must be an object',
);

/** @throws BgworkerError ERR_INVALID_OPTION, ERR_CONNINFO */
export function checkOptions(input: unknown): CheckedOptions {
  const given = validate(schema, input, SUBJECT, 'ERR_INVALID_OPTION');
  const { listen, maxConnections, reservedConnections, spareBackends, ...options } = given;
  if (options.postgres !== undefined && 'conninfo' in options.postgres) {
    parseConninfo(options.postgres.conninfo);
  }
  const clients = checkClients(
    { listen, maxConnections, reservedConnections, spareBackends },
    SUBJECT,
  );
  checkSlots(options.maxWorkerProcesses, clients);
  return {
    ...options,
    dataDirectory: pathOf(options.dataDirectory),
    preload: options.preload.map((one) => moduleUrl(one)),
    clients,
    postgres: (options.postgres as CheckedOptions['postgres'] | undefined) ?? null,
  };
}

/** Each has a range of its own; together they share the slots of the main area. */
function checkSlots(maxWorkerProcesses: number, clients: CheckedClients | null): void {
  const most = WORKER_PROCESSES_MAX - maxWorkerProcesses;
  if (clients === null || clients.maxConnections <= most) return;
  const rule = `must be at most ${most} with maxWorkerProcesses ${maxWorkerProcesses}`;
  const sentence = invalidOption(SUBJECT, 'maxConnections', rule, clients.maxConnections);
  throw new BgworkerError('ERR_INVALID_OPTION', sentence);
}

function pathOf(given: string | URL): string {
  return typeof given === 'string' && !given.startsWith('file:')
    ? resolve(given)
    : fileURLToPath(given);
}

/** A path is taken from the working directory; anything else must be a URL. */
function moduleUrl(given: string | URL): string {
  return given instanceof URL || given.startsWith('file:')
    ? String(given)
    : pathToFileURL(resolve(given)).href;
}
