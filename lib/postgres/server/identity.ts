// identity.ts: as whom the server runs. PostgreSQL refuses uid 0, so a root supervisor chooses an
// unprivileged user for it: the owner of the data, if there is some; else `postgres`, else
// `nobody`. initdb wants that user in the passwd file, which is why a bare number won't do.

import { readFileSync } from 'node:fs';
import { BgworkerError } from '../../errors.ts';
import { messages } from './messages.ts';

export interface ServerIdentity {
  readonly uid: number;
  readonly gid: number;
  /** null: not in the passwd file. */
  readonly name: string | null;
  /** true: this process is root, and must become that user to start the server. */
  readonly switches: boolean;
}

export interface PasswdEntry {
  readonly name: string;
  readonly uid: number;
  readonly gid: number;
}

export interface IdentityFacts {
  readonly uid: number;
  readonly gid: number;
  readonly passwd: readonly PasswdEntry[];
  /** The server's data directory and its owner, if there is one already. */
  readonly data: { readonly path: string; readonly uid: number; readonly gid: number } | null;
}

/** In this order. */
const UNPRIVILEGED_USERS = ['postgres', 'nobody'] as const;

/** Pure; throws a BgworkerError if nobody can run the server. */
export function chooseIdentity({ uid, gid, passwd, data }: IdentityFacts): ServerIdentity {
  if (uid !== 0) {
    if (data !== null && data.uid !== uid) {
      throw failure(messages.wrongOwner(data.path, data.uid, uid));
    }
    return {
      uid,
      gid,
      name: passwd.find((entry) => entry.uid === uid)?.name ?? null,
      switches: false,
    };
  }
  if (data !== null) {
    if (data.uid === 0) throw failure(messages.rootOwned(data.path));
    const owner = passwd.find((entry) => entry.uid === data.uid);
    return {
      uid: data.uid,
      gid: owner?.gid ?? data.gid,
      name: owner?.name ?? null,
      switches: true,
    };
  }
  for (const name of UNPRIVILEGED_USERS) {
    const entry = passwd.find((candidate) => candidate.name === name && candidate.uid !== 0);
    if (entry) return { ...entry, switches: true };
  }
  throw new BgworkerError('ERR_SERVER_FAILED', messages.noUser(UNPRIVILEGED_USERS));
}

/** passwd(5). Lines that are none (comments, NIS's +) are skipped. */
export function parsePasswd(text: string): PasswdEntry[] {
  return text.split('\n').flatMap((line) => {
    const [name, , uid, gid] = line.split(':');
    if (!name || !/^\d+$/.test(uid ?? '') || !/^\d+$/.test(gid ?? '')) return [];
    return [{ name, uid: Number(uid), gid: Number(gid) }];
  });
}

export function readPasswd(): PasswdEntry[] {
  try {
    return parsePasswd(readFileSync('/etc/passwd', 'utf8'));
  } catch {
    return []; // no such file is the same as nobody in it; chooseIdentity() says so if it matters
  }
}

export function describeIdentity(identity: ServerIdentity): string {
  return messages.userName(identity.name, identity.uid);
}

function failure(message: string): BgworkerError {
  return new BgworkerError('ERR_DATA_DIRECTORY', message);
}
