// announcement.ts: what travels from a postmaster in the background to the `bgworker start` that
// waits for it: one line of JSON on a pipe. Its end without a line is an answer, too.

import { closeSync, writeSync } from 'node:fs';

export type Announcement =
  | { readonly kind: 'ready' }
  | {
      readonly kind: 'failed';
      readonly sentence: string;
      /** Another postmaster has the data directory, so the files in it are not ours to tidy. */
      readonly isInUse: boolean;
      /** Where it came from, if BGWORKER_DEBUG asks for it. */
      readonly detail: string | null;
    };

/** Names the pipe's descriptor in the child. The child takes it out of what its children get. */
export const ANNOUNCE_VARIABLE = 'BGWORKER_ANNOUNCE_DESCRIPTOR';

export interface Announcer {
  /** The first call counts. false: nobody hears it. */
  announce(announcement: Announcement): boolean;
}

/** null: nobody asked this process for an announcement. */
export function takeAnnouncer(env: NodeJS.ProcessEnv): Announcer | null {
  const descriptor = Number(env[ANNOUNCE_VARIABLE]);
  delete env[ANNOUNCE_VARIABLE];
  if (!Number.isInteger(descriptor) || descriptor < 3) return null;
  let isOpen = true;
  return {
    announce(announcement) {
      if (!isOpen) return false;
      isOpen = false;
      try {
        writeSync(descriptor, `${JSON.stringify(announcement)}\n`);
        closeSync(descriptor);
        return true;
      } catch (error) {
        const { code } = error as NodeJS.ErrnoException;
        if (code === 'EPIPE' || code === 'EBADF') return false; // it did not wait for us
        throw error;
      }
    },
  };
}

/** null: the line is not whole. */
export function parseAnnouncement(text: string): Announcement | null {
  return text.endsWith('\n') ? (JSON.parse(text) as Announcement) : null;
}
