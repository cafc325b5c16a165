// hosts.ts: the lists "host", "hostaddr" and "port" put together, by libpq's rules on counts.
//
// hostaddr decides how many hosts there are, else host. The other list must be as long. One port
// serves all hosts; several must be one per host. An empty entry means the default.

import { isIP } from 'node:net';
import type { ConninfoOptions } from './keywords.ts';
import { messages } from './messages.ts';
import { parseWhole } from './rules.ts';
import { isSocketPath, type TargetHost } from './target.ts';

const DEFAULT_PORT = 5432;

/** The hosts without their passwords. */
export function hostsOf(settings: ConninfoOptions, socketDirectory: string): TargetHost[] {
  const addresses = split(settings.get('hostaddr'));
  const names = split(settings.get('host'));
  if (addresses.length > 0 && names.length > 0 && addresses.length !== names.length) {
    throw messages.hostCounts(names.length, addresses.length);
  }
  const count = Math.max(addresses.length, names.length, 1);
  const ports = portsOf(settings.get('port'), count);
  return Array.from({ length: count }, (_, index) => {
    const hostaddr = addresses[index] ?? '';
    const host = names[index] ?? '';
    if (hostaddr !== '' && isIP(hostaddr) === 0) throw messages.badHostAddress(index);
    checkName(host, index);
    return {
      ...(host !== '' ? { host } : hostaddr === '' ? { host: socketDirectory } : {}),
      ...(hostaddr !== '' ? { hostaddr } : {}),
      port: ports[index] ?? DEFAULT_PORT,
    };
  });
}

function split(list: string | undefined): string[] {
  return list === undefined || list === '' ? [] : list.split(',');
}

function portsOf(list: string | undefined, count: number): number[] {
  const entries = split(list);
  if (entries.length > 1 && entries.length !== count) {
    throw messages.portCounts(entries.length, count);
  }
  const ports = entries.map((entry, index) => {
    const port = entry === '' ? DEFAULT_PORT : parseWhole(entry);
    if (port === null || port < 1 || port > 65535) throw messages.badPort(index, entries.length);
    return port;
  });
  return ports.length === 1 ? Array.from({ length: count }, () => ports[0] ?? DEFAULT_PORT) : ports;
}

/**
 * Stricter than libpq, which would look the name up: "postgresql://me:p@ss@db/" has the host
 * "ss@db", a piece of the password that would show up in every message about that host.
 */
function checkName(host: string, index: number): void {
  if (!isSocketPath(host) && /[@ \t\n\v\f\r]/.test(host)) throw messages.badHostName(index);
}
