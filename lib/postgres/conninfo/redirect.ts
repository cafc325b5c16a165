// redirect.ts: a resolved target, pointed at another database or user.
//
// A worker's connect({ database, user }) works on a target that the postmaster has resolved. What
// that target settled stays as it is; only the password is looked up anew, because the password
// file may have another one for the new pair.

import { type ConninfoEnvironment, processEnvironment } from './environment.ts';
import type { Keyword } from './keywords.ts';
import { type ConninfoOverrides, overrideConninfo } from './parse.ts';
import { resolveConninfo } from './resolve.ts';
import type { ConnectionTarget } from './target.ts';

export type Redirection = {
  readonly [Field in keyof ConninfoOverrides]?: ConninfoOverrides[Field] | null;
};

/** The target itself if nothing changes. The password file is read through `environment`. */
export function redirect(
  target: ConnectionTarget,
  { database, user, applicationName }: Redirection,
  environment: ConninfoEnvironment = processEnvironment(),
): ConnectionTarget {
  const settings = new Map(Object.entries(target.settings) as [Keyword, string][]);
  // The service has been read, and the hosts include the default directory of the socket.
  settings.delete('service');
  settings.set('host', target.hosts.map(({ host }) => host ?? '').join(','));
  const overridden = overrideConninfo(settings, {
    database: database ?? target.database,
    user: user ?? target.user,
    applicationName: applicationName ?? undefined,
  });
  const sameLogin =
    overridden.get('dbname') === target.database && overridden.get('user') === target.user;
  if (sameLogin && applicationName == null) return target;
  const redirected = resolveConninfo(overridden, {
    ...environment,
    env: {},
    homeDirectory: target.homeDirectory,
  });
  return sameLogin ? { ...redirected, hosts: target.hosts } : redirected;
}
