// limits.ts: what a connection string may ask for that the client underneath, pg, cannot do.
//
// What was asked for as a protection is refused rather than dropped in silence. What is only a
// preference (gssencmode=prefer, channel_binding=prefer) or a matter of speed (sslcompression) is
// passed over; so is client_encoding, because pg speaks UTF-8 on the wire and hands out JavaScript
// strings anyway.

import type { Keyword } from '../conninfo/keywords.ts';
import { messages } from '../conninfo/messages.ts';
import { type ConnectionTarget, isSocketPath } from '../conninfo/target.ts';

const REFUSED: readonly (readonly [Keyword, (value: string) => boolean, string])[] = [
  ['gssencmode', (value) => value === 'require', 'GSSAPI encryption'],
  ['channel_binding', (value) => value === 'require', 'channel binding as a condition'],
  ['require_auth', isSet, 'a restriction of the authentication methods'],
  ['requirepeer', isSet, "a check of the server's operating-system user"],
  ['sslcertmode', (value) => value === 'require', 'proof that a certificate was asked for'],
  ['sslcrldir', isSet, 'a directory of revocation lists (sslcrl, one file, works)'],
  ['sslkeylogfile', isSet, 'a log of the session keys'],
  ['scram_client_key', isSet, 'SCRAM with a key in place of a password'],
  ['scram_server_key', isSet, 'SCRAM with a key in place of a password'],
  ['min_protocol_version', (value) => isSet(value) && value !== '3.0', 'a protocol above 3.0'],
];

export function refuseWhatPgCannot(target: ConnectionTarget): void {
  for (const [keyword, asks, what] of REFUSED) {
    if (asks(target.settings[keyword] ?? '')) throw messages.notInPg(keyword, what);
  }
  for (const { host, hostaddr } of target.hosts) {
    const abstract = hostaddr === undefined && host !== undefined && !host.startsWith('/');
    if (abstract && isSocketPath(host)) throw messages.abstractSocket();
  }
}

function isSet(value: string): boolean {
  return value !== '';
}
