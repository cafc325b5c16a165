// connect.ts: a session on the server that a connection target describes, libpq's way.
//
// The only place in this library that makes a pg.Client. Hosts, and the addresses behind each
// name, are tried in order; connect_timeout counts for each anew. What a server says about a
// password or a database ends the search, as in libpq: the other hosts are not asked.

import { randomInt } from 'node:crypto';
import { lookup } from 'node:dns/promises';
import { isIP } from 'node:net';
import { type ConninfoEnvironment, processEnvironment } from '../conninfo/environment.ts';
import { type AttemptSaid, connectMessages } from '../conninfo/messages.ts';
import {
  type ConnectionTarget,
  describeHost,
  isSocketPath,
  type SslMode,
  type TargetHost,
  type TargetSessionAttrs,
} from '../conninfo/target.ts';
import { orAborted } from './abort.ts';
import { AttemptFailure, attempt, type Verdict } from './attempt.ts';
import type { Endpoint, TargetClient } from './client.ts';
import { refuseWhatPgCannot } from './limits.ts';
import { tlsOptions } from './tls.ts';

export interface ConnectOptions {
  /** In place of the target's. */
  readonly applicationName?: string | undefined;
  /** For a target without one. */
  readonly fallbackApplicationName?: string | undefined;
  /** PostgreSQL's own settings for the session, as in SET; sent with the request for it. */
  readonly settings?: Readonly<Record<string, string>> | undefined;
  /** Ends the attempt at once; the promise rejects with its reason. */
  readonly signal?: AbortSignal | undefined;
  /** Where certificate files are read. Default: this process's. */
  readonly environment?: ConninfoEnvironment | undefined;
}

/**
 * Connects, and resolves with a client that is ready for queries. The caller ends it, and listens
 * for its 'error'.
 *
 * sslmode: disable is plain; require, verify-ca and verify-full are TLS or nothing; prefer tries
 * TLS, and opens a second connection in plain if the server does not do TLS, the handshake fails,
 * or pg_hba.conf lets no one in that way (libpq goes on in the same connection after a mere "no");
 * allow is the other way around. A Unix socket is always plain. As in libpq, require checks the
 * certificate if ~/.postgresql/root.crt exists.
 *
 * Throws ERR_CONNINFO if the target asks for a protection that pg cannot give,
 * ERR_SERVER_UNREACHABLE if no server answered, ERR_SERVER_REFUSED if one answered but it came to
 * nothing; `cause` is then the first such failure (for a server's own no, a pg.DatabaseError).
 */
export async function connectTo(
  target: ConnectionTarget,
  options: ConnectOptions = {},
): Promise<TargetClient> {
  options.signal?.throwIfAborted();
  refuseWhatPgCannot(target);
  const search = new Search(target, options);
  const hosts = inOrder(target.hosts, target);
  const passes: readonly TargetSessionAttrs[] =
    target.targetSessionAttrs === 'prefer-standby'
      ? ['standby', 'any']
      : [target.targetSessionAttrs];
  for (const attrs of passes) {
    search.failures = [];
    for (const host of hosts) {
      const client = await search.tryHost(host, attrs);
      if (client !== null) return client;
    }
  }
  throw search.report();
}

interface Failure extends AttemptSaid {
  /** Something that speaks PostgreSQL's protocol was there. */
  readonly answered: boolean;
}

/** One call of connectTo: what was asked for, and what has gone wrong so far. */
class Search {
  failures: Failure[] = [];
  readonly #target: ConnectionTarget;
  readonly #options: ConnectOptions;
  readonly #environment: ConninfoEnvironment;

  constructor(target: ConnectionTarget, options: ConnectOptions) {
    this.#target = target;
    this.#options = options;
    this.#environment = options.environment ?? processEnvironment();
  }

  /** null: try the next host. Throws if that makes no sense. */
  async tryHost(host: TargetHost, attrs: TargetSessionAttrs): Promise<TargetClient | null> {
    let addresses: readonly string[];
    try {
      addresses = await addressesOf(host, this.#options.signal);
    } catch (cause) {
      this.#options.signal?.throwIfAborted();
      this.failures.push({ where: describeHost(host), cause: cause as Error, answered: false });
      return null;
    }
    for (const address of inOrder(addresses, this.#target)) {
      const endpoint = { host, address, where: describeHost(host, address) };
      const client = await this.#tryEndpoint(endpoint, attrs);
      if (client !== null) return client;
    }
    return null;
  }

  report(): Error {
    const answered = this.failures.filter((failure) => failure.answered);
    const code = answered.length > 0 ? 'ERR_SERVER_REFUSED' : 'ERR_SERVER_UNREACHABLE';
    const first = answered[0] ?? this.failures[0];
    const cause = first?.cause ?? new Error('no address was found');
    return connectMessages.failed(code, this.#target, this.failures, cause);
  }

  async #tryEndpoint(endpoint: Endpoint, attrs: TargetSessionAttrs): Promise<TargetClient | null> {
    const ways = waysOf(this.#target.sslMode, endpoint);
    let verdict: Verdict = 'unreachable';
    for (const way of ways) {
      try {
        return await this.#open(endpoint, way, attrs);
      } catch (thrown) {
        if (!(thrown instanceof AttemptFailure)) throw thrown;
        verdict = thrown.verdict;
        this.#record(thrown, endpoint, ways.length > 1 ? way : null);
        if (verdict !== 'encryption' && verdict !== 'no TLS') break;
      }
    }
    if (verdict !== 'unreachable' && verdict !== 'unsuitable') throw this.report();
    return null;
  }

  /** `way`: which of two ways it was, or null if there was only one. */
  #record({ verdict, cause }: AttemptFailure, endpoint: Endpoint, way: Way | null): void {
    // Where plain is as welcome, a server without TLS has done nothing wrong.
    if (verdict === 'no TLS' && way !== null) return;
    const suffix = way !== null && verdict === 'encryption' ? `, ${WAY_NAMES[way]}` : '';
    const answered = verdict !== 'unreachable';
    this.failures.push({ where: endpoint.where + suffix, cause, answered });
  }

  async #open(endpoint: Endpoint, way: Way, attrs: TargetSessionAttrs): Promise<TargetClient> {
    const target = this.#target;
    const deadline = new Deadline(target.connectTimeoutMs, this.#options.signal);
    try {
      return await attempt({
        target,
        endpoint,
        tls: way === 'TLS' ? tlsOptions(target, endpoint.host, this.#environment) : null,
        applicationName: this.#applicationName(),
        settings: this.#options.settings ?? {},
        attrs,
        signal: deadline.signal,
      });
    } catch (thrown) {
      // Whoever called off the whole search is told so, even if the time was up as well.
      this.#options.signal?.throwIfAborted();
      throw deadline.isOver ? new AttemptFailure('unreachable', deadline.reason) : thrown;
    } finally {
      deadline.cancel();
    }
  }

  #applicationName(): string | null {
    const { applicationName, fallbackApplicationName } = this.#options;
    return applicationName ?? this.#target.applicationName ?? fallbackApplicationName ?? null;
  }
}

type Way = 'TLS' | 'plain';

const WAY_NAMES: Readonly<Record<Way, string>> = { TLS: 'with SSL', plain: 'without SSL' };

function waysOf(mode: SslMode, { address }: Endpoint): readonly Way[] {
  if (isSocketPath(address)) return ['plain'];
  switch (mode) {
    case 'disable':
      return ['plain'];
    case 'allow':
      return ['plain', 'TLS'];
    case 'prefer':
      return ['TLS', 'plain'];
    case 'require':
    case 'verify-ca':
    case 'verify-full':
      return ['TLS'];
  }
}

/** connect_timeout, and the caller's signal, as one signal. */
class Deadline {
  readonly #controller = new AbortController();
  readonly #timer: NodeJS.Timeout | null;
  readonly #caller: AbortSignal | undefined;
  readonly #onCaller: () => void;
  readonly reason: Error;

  constructor(milliseconds: number | null, caller: AbortSignal | undefined) {
    this.reason = connectMessages.timeout(milliseconds ?? 0);
    const over = () => this.#controller.abort(this.reason);
    this.#timer = milliseconds === null ? null : setTimeout(over, milliseconds);
    this.#caller = caller;
    this.#onCaller = () => this.#controller.abort(caller?.reason);
    // It may have aborted since the last look, while an address was looked up.
    if (caller?.aborted === true) this.#onCaller();
    caller?.addEventListener('abort', this.#onCaller, { once: true });
  }

  get signal(): AbortSignal {
    return this.#controller.signal;
  }

  get isOver(): boolean {
    return this.signal.reason === this.reason;
  }

  cancel(): void {
    if (this.#timer !== null) clearTimeout(this.#timer);
    this.#caller?.removeEventListener('abort', this.#onCaller);
  }
}

/** An IP address each, or the directory of a Unix socket. */
async function addressesOf(
  { host, hostaddr }: TargetHost,
  signal: AbortSignal | undefined,
): Promise<readonly string[]> {
  const known = hostaddr ?? host ?? '';
  if (isSocketPath(known) || isIP(known) !== 0) return [known];
  // A look-up cannot be called off; it holds no socket of ours, so we just stop waiting for it.
  const found = await orAborted(lookup(known, { all: true, verbatim: true }), signal);
  return found.map(({ address }) => address);
}

/** As given, or shuffled: load_balance_hosts is about the hosts and the addresses of each. */
function inOrder<Item>(items: readonly Item[], target: ConnectionTarget): readonly Item[] {
  if (target.loadBalanceHosts !== 'random') return items;
  const left = [...items];
  const shuffled: Item[] = [];
  while (left.length > 0) shuffled.push(...left.splice(randomInt(left.length), 1));
  return shuffled;
}
