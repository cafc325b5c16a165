// sql-state.ts: the SQLSTATE in an error, wherever in its chain of causes it is.

/** A server that is there and does not let anyone in yet, or any more. */
export const CANNOT_CONNECT_NOW = '57P03';
/** "database does not exist". */
export const INVALID_CATALOG_NAME = '3D000';
export const INSUFFICIENT_PRIVILEGE = '42501';
export const SERIALIZATION_FAILURE = '40001';
export const DEADLOCK_DETECTED = '40P01';

/** null: no server has said one. */
export function sqlState(error: unknown): string | null {
  for (let cause = error; cause instanceof Error; cause = cause.cause) {
    const { code } = cause as { code?: unknown };
    if (typeof code === 'string' && /^[0-9A-Z]{5}$/.test(code)) return code;
  }
  return null;
}
