// session-options.ts: what a caller may set for a session, as PostgreSQL's own settings.
//
// They are sent with the request for the session, so that it never exists without them; a setting
// that the server does not know is its refusal of the whole.

import { BgworkerError } from '../../errors.ts';
import { invalidOption } from '../../messages.ts';

export interface SessionOptions {
  /** A statement that takes longer is cancelled (statement_timeout). 0: none does. */
  readonly statementTimeoutMs?: number;
  /** A statement that waits for a lock for longer is cancelled (lock_timeout). */
  readonly lockTimeoutMs?: number;
  /**
   * A session that idles in a transaction for longer is ended
   * (idle_in_transaction_session_timeout).
   */
  readonly idleInTransactionTimeoutMs?: number;
  /** One that idles outside of a transaction is ended (idle_session_timeout; PostgreSQL 14). */
  readonly idleTimeoutMs?: number;
  /** Any other setting, by PostgreSQL's name and as PostgreSQL reads it: { search_path: 'app' }. */
  readonly settings?: Readonly<Record<string, string>>;
}

const TIMEOUTS = [
  ['statementTimeoutMs', 'statement_timeout'],
  ['lockTimeoutMs', 'lock_timeout'],
  ['idleInTransactionTimeoutMs', 'idle_in_transaction_session_timeout'],
  ['idleTimeoutMs', 'idle_session_timeout'],
] as const satisfies readonly (readonly [keyof SessionOptions, string])[];

/** PostgreSQL keeps them in an int. */
const TIMEOUT_MAX_MS = 2_147_483_647;

/** They are told by other means, or would change how the client reads what it gets. */
const RESERVED: ReadonlySet<string> = new Set([
  'user',
  'database',
  'options',
  'replication',
  'client_encoding',
  'application_name',
]);

/** @throws BgworkerError ERR_INVALID_OPTION */
export function settingsOf(options: SessionOptions): Record<string, string> {
  const settings: Record<string, string> = {};
  for (const [name, value] of Object.entries(options.settings ?? {})) {
    settings[checkName(name)] = checkValue(name, value);
  }
  for (const [option, setting] of TIMEOUTS) {
    const value = options[option];
    if (value === undefined) continue;
    if (!Number.isInteger(value) || value < 0 || value > TIMEOUT_MAX_MS) {
      const rule = `must be a whole number of milliseconds from 0 to ${TIMEOUT_MAX_MS}`;
      throw refuse(option, rule, value);
    }
    settings[setting] = String(value);
  }
  return settings;
}

function checkName(name: string): string {
  if (!/^[A-Za-z_][\w.$]*$/.test(name)) {
    throw refuse(`settings.${name}`, 'must be the name of a PostgreSQL setting', name);
  }
  if (RESERVED.has(name.toLowerCase())) {
    throw refuse(`settings.${name}`, 'cannot be given here: the connection depends on it', name);
  }
  return name;
}

function checkValue(name: string, value: unknown): string {
  if (typeof value === 'string' && !value.includes('\0')) return value;
  throw refuse(`settings.${name}`, 'must be a text without a NUL', value);
}

function refuse(path: string, rule: string, got: unknown): BgworkerError {
  return new BgworkerError('ERR_INVALID_OPTION', invalidOption('connect()', path, rule, got));
}
