// listening.ts: where a postmaster listens: an address, a socket file, or what systemd has opened.

/** Checked, with every default filled in. */
export type ListenEntry =
  | {
      readonly kind: 'inet';
      /** A numeric address, a name with any number of them, or '*' for all. */
      readonly host: string;
      /** 0: whichever is free. */
      readonly port: number;
      readonly backlog: number;
      readonly reserved: boolean;
    }
  | {
      readonly kind: 'local';
      /** Absolute. */
      readonly path: string;
      /** null: as the umask says. */
      readonly mode: number | null;
      readonly backlog: number;
      readonly reserved: boolean;
    }
  | {
      readonly kind: 'systemd';
      /** FileDescriptorName= of the socket unit; null: all that this process was given. */
      readonly name: string | null;
      readonly reserved: boolean;
    };

/** A listener as it is; of one name there may be several. */
export type ListenAddress =
  | { readonly host: string; readonly port: number }
  | { readonly path: string };
