// messages.ts: every sentence about the data directory and its lock file that a user can read.
// The first half of each is PostgreSQL's own wording; the second half says what to do.

export const messages = {
  notAPath: (path: string) =>
    `dataDirectory must be a path of one line without a NUL, got ${JSON.stringify(path)}`,
  cannotCreate: (path: string, reason: string) =>
    `could not create data directory "${path}": ${reason}. Create it yourself with mode 0700, or name another one`,
  cannotLook: (path: string, reason: string) =>
    `could not read data directory "${path}": ${reason}. Check the permissions of the directories above it`,
  notADirectory: (path: string) =>
    `data directory "${path}" is not a directory. Remove it, or name another one`,
  wrongOwner: (path: string, owner: number, me: number) =>
    `data directory "${path}" has wrong ownership: it belongs to uid ${owner}, this process runs as uid ${me}. ` +
    `Start as its owner, or run: chown ${me} ${quoted(path)}`,
  wrongMode: (path: string, mode: number) =>
    `data directory "${path}" has invalid permissions ${octal(mode)}: they should be 0700 (u=rwx) or 0750 (u=rwx,g=rx). ` +
    `Run: chmod 0700 ${quoted(path)}`,
  notWritable: (path: string, reason: string) =>
    `data directory "${path}" is not writable: ${reason}. Name one that is`,

  lockFileExists: (file: string, pid: number, directory: string) =>
    `lock file "${file}" already exists: another postmaster (PID ${pid}) is running in data directory "${directory}". ` +
    `Stop it (bgworker stop -D ${quoted(directory)}), or use another data directory`,
  lockFileMine: (file: string, directory: string) =>
    `lock file "${file}" already exists: this very process (PID ${process.pid}) runs a postmaster in data directory "${directory}" already. ` +
    `Stop that one first, or use another data directory`,
  lockFileEmpty: (file: string) =>
    `lock file "${file}" is empty: either another postmaster is starting at this moment, or the file is what a crash ` +
    `during a start has left. If no postmaster runs in this directory, remove the file`,
  lockFileBogus: (file: string, line: string) =>
    `bogus data in lock file "${file}": ${JSON.stringify(line)} is not a process id. ` +
    `If no postmaster runs in this directory, remove the file`,
  socketLocked: (file: string, socket: string, holder: { pid: number; dataDirectory: string }) =>
    `lock file "${file}" already exists: a postmaster (PID ${holder.pid}) in data directory "${holder.dataDirectory}" is using socket file "${socket}". ` +
    `Stop it (bgworker stop -D ${quoted(holder.dataDirectory)}), or name another path`,
  lockFileTries: (file: string, tries: number) =>
    `could not create lock file "${file}": other processes created and removed it during ${tries} tries. Try again`,
  lockFileCall: (what: string, file: string, reason: string) =>
    `could not ${what} lock file "${file}": ${reason}. Check the permissions of its directory and the space on its disk`,
};

/** The reason out of whatever was thrown, without the path that the sentence names already. */
export function reasonOf(thrown: unknown): string {
  return thrown instanceof Error ? thrown.message : String(thrown);
}

/** As one word for a shell, so that a remedy can be pasted. */
export function quoted(word: string): string {
  return /^[\w@%+=:,./-]+$/.test(word) ? word : `'${word.replaceAll("'", "'\\''")}'`;
}

export function octal(mode: number): string {
  return `0${(mode & 0o7777).toString(8).padStart(3, '0')}`;
}
