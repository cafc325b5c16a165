// connections.ts: listeners and clients' connections, as the addon hands them over. No verb waits.

/** Who is at the other end of a client's connection. */
export type Peer =
  | { readonly kind: 'inet'; readonly address: string; readonly port: number }
  /** Through a socket file, as the process was when it connected. */
  | { readonly kind: 'local'; readonly pid: number; readonly uid: number; readonly gid: number };

/** Where a listener listens. */
export type ListenerName =
  | { readonly kind: 'inet'; readonly address: string; readonly port: number }
  | { readonly kind: 'local'; readonly path: string };

export interface AcceptedConnection {
  /** The receiver owns it. */
  readonly descriptor: number;
  readonly peer: Peer;
}

/** How often the kernel asks whether a silent client is there; null: the system's own numbers. */
export interface KeepAliveNumbers {
  /** Seconds of silence before the first question. */
  readonly idle: number | null;
  /** Seconds between two questions. */
  readonly interval: number | null;
  /** Unanswered questions until the connection is taken for lost. */
  readonly count: number | null;
}

export interface ConnectionVerbs {
  /** `host`: a numeric address; port 0: whichever is free. */
  listenInet(host: string, port: number, backlog: number): number;
  /** Makes the socket file; EADDRINUSE if there is anything. `mode` null: as the umask says. */
  listenLocal(path: string, mode: number | null, backlog: number): number;
  /**
   * A listener out of somebody else's descriptor (LISTEN_FDS), which stays open. EINVAL or ENOTSOCK
   * if that is no listening stream.
   */
  adoptListener(descriptor: number): number;
  listenerName(descriptor: number): ListenerName;
  /** null: nobody waits. EMFILE and its like leave the client where it is. */
  acceptConnection(listener: number): AcceptedConnection | null;
  peerOf(connection: number): Peer;
  /** TCP_NODELAY and keep-alive; nothing for a connection that is not TCP. */
  tuneConnection(connection: number, noDelay: boolean, keepAlive: KeepAliveNumbers | null): void;
  /** One send that does not wait, then the end of our side. Never throws. */
  sayLast(connection: number, words: Uint8Array): void;
  /** Reads and forgets what is there, a bounded amount. false: the client's side has ended. */
  drain(connection: number): boolean;
  /** Does anybody listen at this socket file? ENOENT if it is not there. */
  isSocketFileUsed(path: string): boolean;
  /** Both ends of a connection to oneself. */
  streamPair(): [one: number, other: number];
}
