// limits.ts: how much a client of the control socket may cost. Whoever wants more is cut off, and
// nobody else notices.

/** Arguments up to here are kept in memory, longer ones in a memory file. */
export const INLINE_ARGUMENT_BYTES = 64 * 1024;

/** How long a frame that has begun may wait for its next bytes. */
export const FRAME_PATIENCE_MS = 10_000;

/** What a client may have sent ahead while its question is not answered: then it is not read. */
export const AHEAD_MAX_BYTES = 256 * 1024;

/** What may wait to be read by a client. */
export const UNREAD_MAX_BYTES = 1024 * 1024;

/** Clients besides one for each worker. */
export const OUTSIDERS_MAX = 64;

/** How long who is cut off may take to read why, and to go. */
export const FAREWELL_MS = 2_000;
