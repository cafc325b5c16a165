// messages.ts: every sentence about listening and accepting that a user can read.

import type { ListenAddress } from '../model/listening.ts';

export const messages = {
  cannotListen: (where: string, reason: string, remedy: string) =>
    `could not listen on ${where}: ${reason}. ${remedy}`,
  noSuchHost: (host: string, reason: string) =>
    `could not listen on "${host}": its name has no address (${reason}). Give an address of this machine, 'localhost', or '*' for all`,
  notASocket: (path: string) =>
    `could not listen on "${path}": there is something else than a socket at this path. Remove it, or name another path`,
  socketFileUsed: (path: string) =>
    `could not listen on "${path}": another program listens there. Stop it, or name another path`,
  nothingFromSystemd: (name: string | null) =>
    name === null
      ? 'could not listen: this process was given no socket by systemd (LISTEN_PID and LISTEN_FDS do not name it). Start it by a socket unit, or give an address to listen on'
      : `could not listen: this process was given no socket named "${name}" by systemd (LISTEN_FDNAMES). Write FileDescriptorName=${name} in the socket unit`,
  badFromSystemd: (descriptor: number, reason: string) =>
    `could not listen on descriptor ${descriptor} from systemd: ${reason}. It must be a stream socket that listens (ListenStream=, Accept=no)`,
  cannotAccept: (where: string, reason: string, pauseMs: number) =>
    `could not accept new connections on ${where}: ${reason}; trying again every ${pauseMs} ms`,
  nobodyServes:
    'the option listen is set, and no preload module has called server.registerBackend(): nobody could serve a connection. Register a backend, or leave listen out',
};

/** How an address is written in a sentence. */
export function where(address: ListenAddress): string {
  if ('path' in address) return `"${address.path}"`;
  const { host, port } = address;
  return host.includes(':') ? `[${host}]:${port}` : `${host}:${port}`;
}

/** What to do about the usual reasons. */
export function remedyFor(code: string | undefined): string {
  switch (code) {
    case 'EADDRINUSE':
      return 'Another program listens there already: stop it, or listen somewhere else';
    case 'EADDRNOTAVAIL':
      return "This machine has no such address: give one that it has, 'localhost', or '*' for all";
    case 'EACCES':
      return 'This user may not: give a port above 1023, or a directory that the user can write to';
    case 'ENAMETOOLONG':
      return 'The path of a socket has at most 107 bytes: name a shorter one';
    case 'ENOENT':
      return 'Make its directory first';
    default:
      return 'Listen somewhere else';
  }
}

export function reasonOf(thrown: unknown): string {
  return thrown instanceof Error ? thrown.message : String(thrown);
}
