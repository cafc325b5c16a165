// listen-options.ts: where a postmaster listens, and how many clients it serves, checked.

import { resolve } from 'node:path';
import { fileURLToPath } from 'node:url';
import * as v from 'valibot';
import { BgworkerError } from '../errors.ts';
import { invalidOption } from '../messages.ts';
import type { ClientLimits } from '../model/clients.ts';
import type { ListenEntry } from '../model/listening.ts';
import { WORKER_PROCESSES_MAX } from '../model/registration.ts';
import { wholeNumber } from './validate.ts';

interface ListenCommon {
  /** Its clients may use the last places, see `reservedConnections`. Default: false. */
  readonly reserved?: boolean;
}

export interface ListenTcp extends ListenCommon {
  /** An address, a name with any number of them, or '*' for all. Default: 'localhost'. */
  readonly host?: string;
  /** 0: whichever is free, see `postmaster.addresses()`. */
  readonly port: number;
  /** How many wait in the kernel until they are accepted. Default: 2 × maxConnections, at least 128. */
  readonly backlog?: number;
}

export interface ListenSocketFile extends ListenCommon {
  /** At most 107 bytes. A lock file is made beside it, with `.lock` behind the name. */
  readonly path: string | URL;
  /** Who may connect, such as 0o660. Default: as the umask says. */
  readonly mode?: number;
  readonly backlog?: number;
}

/** Sockets that systemd has opened (LISTEN_FDS): all of them, or those of this name. */
export interface ListenSystemd extends ListenCommon {
  readonly systemd: true | string;
}

export type ListenOptions = ListenTcp | ListenSocketFile | ListenSystemd;

/** What of a postmaster's options is about clients. */
export interface ClientOptions {
  /** Each connection gets a backend of its own, see `registerBackend()`. Default: none. */
  readonly listen?: readonly ListenOptions[];
  /** Clients that are served at once; 1 to 262 143. Default: 100. */
  readonly maxConnections?: number;
  /** The last of them, for `reserved` listeners. Default: 3 where there is one, else 0. */
  readonly reservedConnections?: number;
  /** Backends that are forked ahead, each waiting for its client. Default: 0. */
  readonly spareBackends?: number;
}

/** The same with nothing left open. */
export interface CheckedClients extends ClientLimits {
  readonly listen: readonly ListenEntry[];
}

const MAX_CONNECTIONS = 100;
const RESERVED_CONNECTIONS = 3;
const PORT_MAX = 65_535;
const BACKLOG_MAX = 2_147_483_647;
/** So that a burst finds room, however few are served at once. */
const BACKLOG_MIN = 128;
const PATH_MAX_BYTES = 107;

const FORMS =
  'must be { port, host }, { path } or { systemd: true }, each with reserved if you like';
const PATH_RULE = `must be the path of a socket file, of at most ${PATH_MAX_BYTES} bytes`;
const HOST_RULE = "must be an address, a name, or '*' for all";

const backlog = v.optional(wholeNumber('', 1, BACKLOG_MAX));
const reserved = v.optional(v.boolean('must be true or false'), false);
const host = v.pipe(v.string(HOST_RULE), v.regex(/^[^\0\s/]+$/, HOST_RULE));

const tcp = v.strictObject(
  { port: wholeNumber('', 0, PORT_MAX), host: v.optional(host, 'localhost'), backlog, reserved },
  FORMS,
);

const MODE_RULE = 'must be a mode such as 0o660, from 0 to 0o777';

const socketFile = v.strictObject(
  {
    path: v.pipe(
      v.union([v.string(), v.instance(URL)], PATH_RULE),
      v.check((given) => socketPath(given) !== null, PATH_RULE),
    ),
    mode: v.optional(
      v.pipe(
        v.number(MODE_RULE),
        v.integer(MODE_RULE),
        v.minValue(0, MODE_RULE),
        v.maxValue(0o777, MODE_RULE),
      ),
    ),
    backlog,
    reserved,
  },
  FORMS,
);

const SYSTEMD_RULE = 'must be true, or the FileDescriptorName of the socket unit';

const systemd = v.strictObject(
  {
    systemd: v.union(
      [v.literal(true), v.pipe(v.string(), v.regex(/^[^:\p{Cc}]{1,255}$/u, SYSTEMD_RULE))],
      SYSTEMD_RULE,
    ),
    reserved,
  },
  FORMS,
);

/** By what it has, not by what fits: what does not fit is then named. */
const entry = v.lazy((input) => {
  if (typeof input === 'object' && input !== null && 'path' in input) return socketFile;
  return typeof input === 'object' && input !== null && 'systemd' in input ? systemd : tcp;
});

/** Part of the schema of the postmaster's options. */
export const clientEntries = {
  listen: v.optional(v.array(entry, 'must be a list of places to listen at'), []),
  maxConnections: v.optional(wholeNumber('', 1, WORKER_PROCESSES_MAX), MAX_CONNECTIONS),
  reservedConnections: v.optional(wholeNumber('', 0, WORKER_PROCESSES_MAX)),
  spareBackends: v.optional(wholeNumber('', 0, WORKER_PROCESSES_MAX), 0),
};

const clientSchema = v.object(clientEntries);

/** What the schema has let through. */
export type GivenClients = v.InferOutput<typeof clientSchema>;

/**
 * null: nobody listens.
 *
 * @throws BgworkerError ERR_INVALID_OPTION
 */
export function checkClients(given: GivenClients, subject: string): CheckedClients | null {
  const { listen, maxConnections, spareBackends } = given;
  const hasReserved = listen.some((one) => one.reserved);
  const reservedConnections =
    given.reservedConnections ??
    (hasReserved ? Math.min(RESERVED_CONNECTIONS, maxConnections - 1) : 0);
  const refuse = (option: keyof ClientOptions, rule: string, got: unknown): never => {
    throw new BgworkerError('ERR_INVALID_OPTION', invalidOption(subject, option, rule, got));
  };
  if (reservedConnections >= maxConnections) {
    const rule = `must be less than maxConnections (${maxConnections})`;
    refuse('reservedConnections', rule, reservedConnections);
  }
  if (reservedConnections > 0 && !hasReserved) {
    const rule = 'must be 0 where no listener is `reserved: true`, which could use them';
    refuse('reservedConnections', rule, reservedConnections);
  }
  if (spareBackends > maxConnections) {
    const rule = `must be at most maxConnections (${maxConnections})`;
    refuse('spareBackends', rule, spareBackends);
  }
  if (listen.length === 0) return null;
  const entries = listen.map((one) => entryOf(one, Math.max(BACKLOG_MIN, 2 * maxConnections)));
  return { listen: entries, maxConnections, reservedConnections, spareBackends };
}

function entryOf(given: GivenClients['listen'][number], defaultBacklog: number): ListenEntry {
  const common = { reserved: given.reserved };
  if ('systemd' in given) {
    return { ...common, kind: 'systemd', name: given.systemd === true ? null : given.systemd };
  }
  const backlog = given.backlog ?? Math.min(defaultBacklog, BACKLOG_MAX);
  if ('path' in given) {
    const path = socketPath(given.path) ?? '';
    return { ...common, kind: 'local', path, mode: given.mode ?? null, backlog };
  }
  return { ...common, kind: 'inet', host: given.host, port: given.port, backlog };
}

/** Absolute, as the working directory is now; null: no path that a socket can have. */
function socketPath(given: string | URL): string | null {
  try {
    const path = resolve(
      typeof given === 'string' && !given.startsWith('file:') ? given : fileURLToPath(given),
    );
    const isGiven = String(given) !== '' && !/[\n\r\0]/.test(path);
    return isGiven && Buffer.byteLength(path) <= PATH_MAX_BYTES ? path : null;
  } catch {
    return null; // A URL of another scheme, or of another machine.
  }
}
