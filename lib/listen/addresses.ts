// addresses.ts: the numeric addresses behind a host of the option listen.

import { lookup } from 'node:dns/promises';
import { isIP } from 'node:net';
import { BgworkerError } from '../errors.ts';
import { messages, reasonOf } from './messages.ts';

const ALL = ['0.0.0.0', '::'] as const;

/**
 * Each of them gets a listener of its own, as with PostgreSQL's listen_addresses.
 *
 * @throws BgworkerError ERR_LISTEN_FAILED
 */
export async function addressesOf(host: string): Promise<readonly string[]> {
  if (host === '*') return ALL;
  // With a scope behind it, which isIP() does not know on every Node.
  if (isIP(host.replace(/%.*$/, '')) !== 0) return [host];
  try {
    const found = await lookup(host, { all: true });
    return [...new Set(found.map(({ address }) => address))];
  } catch (error) {
    const sentence = messages.noSuchHost(host, reasonOf(error));
    throw new BgworkerError('ERR_LISTEN_FAILED', sentence, { cause: error });
  }
}
