// background.ts: starts this program once more, as `start --foreground` in a session of its own,
// and waits for its announcement.
//
// The child owns nothing of ours but the pipe that it announces on, so our end is not its end. A
// start that fails leaves no process behind, and no file that has nothing in it.

import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { closeSync, fstatSync, openSync, rmdirSync, unlinkSync } from 'node:fs';
import { join, resolve } from 'node:path';
import type { Readable } from 'node:stream';
import { setTimeout as delay } from 'node:timers/promises';
import { openDataDirectory } from '../data-directory/data-directory.ts';
import { packageFile } from '../package-files.ts';
import { ANNOUNCE_VARIABLE, type Announcement, parseAnnouncement } from './announcement.ts';
import type { Settings } from './command.ts';
import type { Place } from './foreground.ts';
import * as messages from './messages.ts';
import type { Output } from './output.ts';
import { showWaiting } from './progress.ts';

const PROGRAM = packageFile('#cli');
const ANNOUNCE_DESCRIPTOR = 3;
const LOG_NAME = 'bgworker.log';

/** Gives whether it was started, as far as it was waited for. */
export async function startInBackground(
  place: Place,
  settings: Settings,
  output: Output,
): Promise<boolean> {
  const files = await prepareFiles(place, settings.logFile);
  const child = spawnDetached(files, place.configFile, settings.wait);
  await once(child, 'spawn').catch((error: Error) => {
    files.discardEmpty();
    throw new Error(messages.notSpawned(error.message), { cause: error });
  });
  if (!settings.wait) {
    files.close();
    output.say(messages.starting);
    return true;
  }
  const untrap = passOnInterrupt(child);
  const showEnd = showWaiting(output, messages.waitingForStart);
  const outcome = await Promise.race([announcementOf(child), delay(settings.timeoutMs, null)]);
  untrap();
  if (outcome === null) {
    files.close();
    showEnd('impatient');
    output.complain(messages.notInTime(child.pid ?? 0, settings.timeoutMs / 1000));
    return false;
  }
  if (outcome.kind === 'ready') {
    files.close();
    showEnd('done');
    output.say(messages.started);
    return true;
  }
  showEnd('failed');
  const hasGrown = files.hasGrown();
  if (outcome.isInUse) files.close();
  else files.discardEmpty();
  output.complain(outcome.sentence);
  if (outcome.detail !== null) output.advise(outcome.detail);
  if (hasGrown) output.advise(messages.examineLog(files.logFile));
  return false;
}

interface Files {
  readonly dataDirectory: string | null;
  readonly logFile: string;
  readonly logDescriptor: number;
  /** Has anybody written to the log since it was opened? */
  hasGrown(): boolean;
  close(): void;
  /** Closes, and removes what was made for this start and is empty. */
  discardEmpty(): void;
}

/** The log file must be there before the process is, and is by default in the data directory. */
async function prepareFiles(place: Place, namedLog: string | null): Promise<Files> {
  if (namedLog !== null) return filesOf(place.dataDirectory, resolve(namedLog), null);
  const dataDirectory = place.dataDirectory ?? (await configuredDirectory(place.configFile));
  const { path, created } = openDataDirectory(dataDirectory);
  return filesOf(dataDirectory, join(path, LOG_NAME), created ? path : null);
}

/** Only asked if nothing else says it: the file is then loaded twice, here and in the child. */
async function configuredDirectory(configFile: string): Promise<string> {
  const [{ loadConfig }, { checkOptions }] = await Promise.all([
    import('./config.ts'),
    import('../register/options.ts'),
  ]);
  return checkOptions(await loadConfig(configFile, null)).dataDirectory;
}

/** @param made the directory that was made for this start. */
function filesOf(dataDirectory: string | null, logFile: string, made: string | null): Files {
  const logDescriptor = openLog(logFile);
  const sizeBefore = fstatSync(logDescriptor).size;
  const close = () => closeSync(logDescriptor);
  return {
    dataDirectory,
    logFile,
    logDescriptor,
    hasGrown: () => fstatSync(logDescriptor).size > sizeBefore,
    close,
    discardEmpty() {
      const { size } = fstatSync(logDescriptor);
      close();
      if (size === 0) ifItCan(() => unlinkSync(logFile));
      if (size === 0 && made !== null) ifItCan(() => rmdirSync(made));
    },
  };
}

function openLog(path: string): number {
  try {
    return openSync(path, 'a', 0o600);
  } catch (error) {
    throw new Error(messages.logFileNotOpened(path, (error as Error).message), { cause: error });
  }
}

/** Tidying up: that it cannot be done is no news beside why it is done. */
function ifItCan(act: () => void): void {
  try {
    act();
  } catch {
    // Somebody else has put something there, or has removed it.
  }
}

function spawnDetached(files: Files, configFile: string, isWaitedFor: boolean): ChildProcess {
  const directory = files.dataDirectory === null ? [] : [`--pgdata=${files.dataDirectory}`];
  const args = ['start', '--foreground', `--config=${configFile}`, ...directory];
  return spawn(process.execPath, [...process.execArgv, PROGRAM, ...args], {
    detached: true,
    stdio: [
      'ignore',
      files.logDescriptor,
      files.logDescriptor,
      ...(isWaitedFor ? ['pipe' as const] : []),
    ],
    env: {
      ...process.env,
      ...(isWaitedFor && { [ANNOUNCE_VARIABLE]: String(ANNOUNCE_DESCRIPTOR) }),
    },
  });
}

/** What it says, or how it ended without a word. After a failure its process is gone. */
async function announcementOf(child: ChildProcess): Promise<Announcement> {
  const pipe = child.stdio[ANNOUNCE_DESCRIPTOR] as Readable;
  const exited = once(child, 'exit');
  let text = '';
  for await (const chunk of pipe.setEncoding('utf8')) text += chunk;
  const said = parseAnnouncement(text);
  if (said?.kind === 'ready') return said;
  const [code, signal] = await exited;
  return (
    said ?? {
      kind: 'failed',
      sentence: messages.endedEarly(code, signal),
      isInUse: false,
      detail: null,
    }
  );
}

/** Ctrl-C while waiting ends the start, not just the waiting: the child is in another session. */
function passOnInterrupt(child: ChildProcess): () => void {
  const interrupted = () => {
    child.kill('SIGINT');
    process.off('SIGINT', interrupted);
    process.kill(process.pid, 'SIGINT');
  };
  process.on('SIGINT', interrupted);
  return () => process.off('SIGINT', interrupted);
}
