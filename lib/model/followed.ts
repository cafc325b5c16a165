// followed.ts: where the database is that the phases follow, in the form that travels to a worker.

/** One of the servers that a connection string names. */
export interface ServerAddress {
  /** A name, an address, or the directory of a Unix socket (begins with "/" or "@"). */
  readonly host?: string;
  /** An address that saves looking `host` up; `host` then only names the certificate. */
  readonly hostaddr?: string;
  readonly port: number;
}

export interface FollowedDatabase {
  /** For libpq. */
  readonly conninfo: string;
  /** The one of its servers that is followed now, or was last; null: none has been there yet. */
  readonly server: ServerAddress | null;
}
