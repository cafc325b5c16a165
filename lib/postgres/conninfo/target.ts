// target.ts: a connection string once everything is known: what connect.ts connects to.
//
// Plain data that survives JSON, because it travels to workers. It holds passwords, so it must not
// be logged whole; describeHost() is what messages show of it.

import type { ServerAddress } from '../../model/followed.ts';
import type { Keyword } from './keywords.ts';

export interface TargetHost extends ServerAddress {
  readonly password?: string;
}

export const TARGET_SESSION_ATTRS = [
  'any',
  'read-write',
  'read-only',
  'primary',
  'standby',
  'prefer-standby',
] as const;
export type TargetSessionAttrs = (typeof TARGET_SESSION_ATTRS)[number];

export const SSL_MODES = [
  'disable',
  'allow',
  'prefer',
  'require',
  'verify-ca',
  'verify-full',
] as const;
export type SslMode = (typeof SSL_MODES)[number];

/** How soon a peer is given up that died without a word. 0: the system's own, in each. */
export interface Keepalives {
  readonly enabled: boolean;
  readonly idleSeconds: number;
  readonly intervalSeconds: number;
  readonly count: number;
  /** For data that is not acknowledged; whether the others are enabled or not. */
  readonly userTimeoutMs: number;
}

export interface ConnectionTarget {
  /** In the order of the connection string; at least one. */
  readonly hosts: readonly TargetHost[];
  readonly database: string;
  readonly user: string;
  /** application_name, else fallback_application_name, else null. */
  readonly applicationName: string | null;
  readonly targetSessionAttrs: TargetSessionAttrs;
  readonly loadBalanceHosts: 'disable' | 'random';
  /** For each host and address anew; null: as long as it takes. */
  readonly connectTimeoutMs: number | null;
  readonly sslMode: SslMode;
  readonly keepalives: Keepalives;
  /** Command-line options for the server process, "-c geqo=off". */
  readonly options: string;
  /** All keywords that have a value, as resolved: host, port and password as lists were given. */
  readonly settings: Readonly<Partial<Record<Keyword, string>>>;
  /** Where ~/.postgresql/root.crt and its like are. */
  readonly homeDirectory: string | null;
}

export function isSocketPath(host: string): boolean {
  return host.startsWith('/') || host.startsWith('@');
}

/** "db.example:5432", "[::1]:5432" or "/tmp/.s.PGSQL.5432". */
export function describeHost(host: TargetHost, address?: string): string {
  const name = host.host ?? host.hostaddr ?? '';
  if (host.hostaddr === undefined && isSocketPath(name)) return `${name}/.s.PGSQL.${host.port}`;
  const shown = name.includes(':') ? `[${name}]` : name;
  const looked = address ?? host.hostaddr;
  return looked === undefined || looked === name
    ? `${shown}:${host.port}`
    : `${shown}:${host.port} (${looked})`;
}
