// The lock file: PostgreSQL's rules as a table, its bytes, and two real processes in a race for it.

import { type ChildProcess, spawn, spawnSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { once } from 'node:events';
import {
  chmodSync,
  chownSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  realpathSync,
  rmSync,
  statSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath, pathToFileURL } from 'node:url';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { judge, openDataDirectory } from '../../lib/data-directory/data-directory.ts';
import { MAX_TRIES, takeExclusively } from '../../lib/data-directory/exclusive-file.ts';
import {
  findLivePostmaster,
  formatLockFile,
  LockFile,
  type LockFileContent,
  parseLockFile,
  readLockFile,
} from '../../lib/data-directory/lock-file.ts';
import { parseStat, processIdentity } from '../../lib/data-directory/process.ts';

let directory: string;
let file: string;

beforeEach(() => {
  directory = realpathSync(mkdtempSync(join(tmpdir(), 'bgworker-lock-')));
  file = join(directory, 'postmaster.pid');
});

afterEach(() => rmSync(directory, { recursive: true, force: true }));

/** A pid that was somebody's and is nobody's now. */
function deadPid(): number {
  const { pid } = spawnSync(process.execPath, ['--version']);
  return pid;
}

/** The name that the right to succeed a file of this content has, see exclusive-file.ts. */
function rightTo(text: string): string {
  return createHash('sha256').update(text).digest('hex').slice(0, 16);
}

function content(pid: number, owner: string | null): LockFileContent {
  return {
    pid,
    dataDirectory: directory,
    startTimeSeconds: 1_700_000_000,
    port: null,
    socketDirectory: null,
    listenAddress: null,
    status: 'ready',
    owner,
  };
}

describe('the bytes of the file', () => {
  test('are PostgreSQL’s eight lines, and the owner', () => {
    using lock = LockFile.create(directory);
    lock.setAddress({ port: 7000, socketDirectory: '/tmp/söcket', listenAddress: '*' });
    lock.setStatus('ready');
    const lines = readFileSync(file, 'utf8').split('\n');
    expect(lines.slice(0, 2)).toEqual([String(process.pid), directory]);
    expect(Math.abs(Number(lines[2]) - Date.now() / 1000)).toBeLessThan(60);
    expect(lines.slice(3, 8)).toEqual(['7000', '/tmp/söcket', '*', '', 'ready   ']);
    expect(lines[8]?.startsWith(`${processIdentity(process.pid)} `)).toBe(true);
    expect(lines.slice(9)).toEqual(['']);
    expect(statSync(file).mode & 0o777).toBe(0o600);
  });

  test('a status changes no byte but those of line 8', () => {
    using lock = LockFile.create(directory, { port: 1, socketDirectory: '/ü' });
    const before = readFileSync(file, 'utf8');
    const { ino } = statSync(file);
    for (const status of ['ready', 'standby', 'stopping', 'starting'] as const) {
      expect(lock.setStatus(status)).toBe('mine');
      expect(readFileSync(file, 'utf8')).toBe(before.replace('starting', status.padEnd(8)));
      expect(readLockFile(directory)?.status).toBe(status);
    }
    expect(statSync(file).ino).toBe(ino);
  });

  test.each<[string, Partial<LockFileContent> | null]>([
    ['', null],
    ['abc\n', null],
    ['0\n', null],
    ['12x\n', null],
    ['12\n', { pid: 12, status: null, port: null, owner: null }],
    ['-12\n/d\n5\n', { pid: 12, dataDirectory: '/d', startTimeSeconds: 5 }],
    [
      '12\n/d\n5\n5432\n/tmp\nlocalhost\n  1 2\nready   \n',
      {
        port: 5432,
        socketDirectory: '/tmp',
        listenAddress: 'localhost',
        status: 'ready',
        owner: null,
      },
    ],
    ['12\n/d\n5\n\n\n\n\nlost\n', { status: null }],
  ])('%j is read as %j', (text, expected) => {
    const found = parseLockFile(text);
    if (expected === null) expect(found).toBeNull();
    else expect(found).toMatchObject(expected);
  });

  test('what is written is what is read', () => {
    const all = { ...content(5, 'a/b c'), port: 1, socketDirectory: '/s', listenAddress: '*' };
    expect(parseLockFile(formatLockFile(all))).toEqual(all);
  });
});

describe('who holds it', () => {
  let neighbour: ChildProcess;
  const live = () => neighbour.pid ?? 0;
  beforeAll(async () => {
    neighbour = spawn('/bin/sh', ['-c', 'read line'], { stdio: ['pipe', 'ignore', 'ignore'] });
    await once(neighbour, 'spawn');
  });
  afterAll(async () => {
    neighbour.stdin?.end();
    await once(neighbour, 'exit');
  });

  const me = processIdentity(process.pid);
  const table: [string, () => string, 'taken' | RegExp][] = [
    ['nobody: a dead pid', () => formatLockFile(content(deadPid(), null)), 'taken'],
    ['nobody: a dead owner', () => formatLockFile(content(deadPid(), 'boot/1 x')), 'taken'],
    [
      'a live pid that is no elder of ours',
      () => formatLockFile(content(live(), null)),
      /already exists: another postmaster \(PID \d+\)/,
    ],
    [
      'a live pid, and it is that very process',
      () => formatLockFile(content(live(), `${processIdentity(live())} x`)),
      /PID \d+\).*bgworker stop -D/,
    ],
    [
      'nobody: a recycled pid, started later than the owner',
      () => formatLockFile(content(live(), `${processIdentity(live())}0 x`)),
      'taken',
    ],
    [
      'nobody: a pid of an earlier boot',
      () => formatLockFile(content(live(), 'other/1 x')),
      'taken',
    ],
    ['nobody: our pid by coincidence', () => formatLockFile(content(process.pid, null)), 'taken'],
    ['nobody: our parent’s', () => formatLockFile(content(process.ppid, null)), 'taken'],
    [
      'our parent, really',
      () => formatLockFile(content(process.ppid, `${processIdentity(process.ppid)} x`)),
      /already exists/,
    ],
    [
      'we ourselves, really',
      () => formatLockFile(content(process.pid, `${me} x`)),
      /this very process/,
    ],
    ['empty', () => '', /is empty/],
    ['no pid in it', () => 'hello\nworld\n', /bogus data.*"hello"/],
  ];

  test.each(table)('%s', (_, text, outcome) => {
    writeFileSync(file, text());
    if (outcome === 'taken') {
      using lock = LockFile.create(directory);
      expect(lock.recheck()).toBe('mine');
      expect(readdirSync(directory)).toEqual(['postmaster.pid']);
    } else {
      const before = readFileSync(file, 'utf8');
      expect(() => LockFile.create(directory)).toThrow(
        expect.objectContaining({
          code: 'ERR_LOCK_FILE',
          message: expect.stringMatching(outcome),
        }),
      );
      expect(readFileSync(file, 'utf8')).toBe(before);
      expect(readdirSync(directory)).toEqual(['postmaster.pid']);
    }
  });

  test('a zombie holds nothing', async () => {
    // The shell's child ends when the shell has become sleep, which never waits for it: not before,
    // or the shell would have done so.
    const child = spawn('/bin/sh', ['-c', '(read _ <&3) & echo $!; exec sleep 60'], {
      stdio: ['ignore', 'pipe', 'ignore', 'pipe'],
    });
    const { stdout } = child;
    const [line] = await once(stdout as NonNullable<typeof stdout>, 'data');
    const zombie = Number(String(line));
    const comes = (path: string) =>
      expect.poll(() => readFileSync(path, 'utf8'), { timeout: 15_000 });
    try {
      await comes(`/proc/${child.pid}/comm`).toBe('sleep\n');
      child.stdio[3]?.destroy();
      await comes(`/proc/${zombie}/stat`).toContain(') Z ');
      writeFileSync(file, formatLockFile(content(zombie, null)));
      LockFile.create(directory).remove();
    } finally {
      child.kill('SIGKILL');
      await once(child, 'exit');
    }
  });

  test('findLivePostmaster() believes only a live one', () => {
    expect(findLivePostmaster(directory)).toBeNull();
    writeFileSync(file, formatLockFile(content(deadPid(), null)));
    expect(readLockFile(directory)).not.toBeNull();
    expect(findLivePostmaster(directory)).toBeNull();
    using _lock = LockFile.create(directory);
    expect(findLivePostmaster(directory)?.pid).toBe(process.pid);
  });

  test('leftovers of dead successors are swept, at every depth', () => {
    const stale = formatLockFile(content(deadPid(), 'boot/1 a'));
    writeFileSync(file, stale);
    writeFileSync(`${file}.0123456789abcdef`, formatLockFile(content(deadPid(), 'boot/1 b')));
    writeFileSync(`${file}.new-1-abc`, '');
    using lock = LockFile.create(directory);
    expect(lock.recheck()).toBe('mine');
    expect(readdirSync(directory)).toEqual(['postmaster.pid']);
  });
});

describe('recheck() and remove()', () => {
  const table: [string, () => void, 'mine' | 'missing' | 'foreign'][] = [
    ['untouched', () => {}, 'mine'],
    ['removed', () => rmSync(file), 'missing'],
    ['another pid', () => writeFileSync(file, formatLockFile(content(1, null))), 'foreign'],
    [
      'our pid, another owner',
      () => writeFileSync(file, formatLockFile(content(process.pid, 'x y'))),
      'foreign',
    ],
    ['emptied', () => writeFileSync(file, ''), 'foreign'],
    ['its directory gone', () => rmSync(directory, { recursive: true }), 'missing'],
  ];

  test.each(table)('%s', (_, disturb, expected) => {
    const lock = LockFile.create(directory);
    disturb();
    const before = existsSync(file) ? readFileSync(file, 'utf8') : null;
    expect(lock.recheck()).toBe(expected);
    if (expected !== 'mine') {
      expect(lock.setStatus('ready')).toBe(expected);
      expect(lock.setAddress({ port: 1 })).toBe(expected);
    }
    expect(lock.remove()).toBe(expected);
    expect(existsSync(file) ? readFileSync(file, 'utf8') : null).toBe(
      expected === 'mine' ? null : before,
    );
  });

  test('a directory that is not there is an error of the lock file', () => {
    expect(() => LockFile.create(join(directory, 'none'))).toThrow(
      expect.objectContaining({
        code: 'ERR_LOCK_FILE',
        message: expect.stringMatching(/could not create lock file/),
      }),
    );
  });
});

describe('the steps of a succession, met one by one', () => {
  const refuseAll = (found: string) => {
    throw new Error(`held by ${found}`);
  };
  /** Succeeds the dead; `meanwhile` happens after we have looked and before we act. */
  const take = (contentOfUs: string, meanwhile: () => void = () => {}) =>
    takeExclusively({
      path: file,
      content: contentOfUs,
      refuseIfHeld: (found) => {
        if (!found.startsWith('dead')) refuseAll(found);
        meanwhile();
      },
    });

  test('another succeeds the dead owner after we have looked: it keeps the file', () => {
    writeFileSync(file, 'dead');
    expect(() => take('second', () => take('first'))).toThrow('held by first');
    expect(readFileSync(file, 'utf8')).toBe('first');
    expect(readdirSync(directory)).toEqual(['postmaster.pid']);
  });

  test('another did, and has left again: the file is free', () => {
    writeFileSync(file, 'dead');
    const comeAndGo = () => {
      if (!existsSync(file)) return;
      take('first');
      rmSync(file);
    };
    expect(take('second', comeAndGo)).toBe(true);
    expect(readFileSync(file, 'utf8')).toBe('second');
    expect(readdirSync(directory)).toEqual(['postmaster.pid']);
  });

  test('another is at it: it has the right, we are refused', () => {
    writeFileSync(file, 'dead');
    writeFileSync(`${file}.${rightTo('dead')}`, 'first');
    expect(() => take('second')).toThrow('held by first');
    expect(readFileSync(file, 'utf8')).toBe('dead');
  });

  test('another died at it, and one more died at succeeding that one', () => {
    writeFileSync(file, 'dead');
    writeFileSync(`${file}.${rightTo('dead')}`, 'dead too');
    writeFileSync(`${file}.${rightTo('dead')}.${rightTo('dead too')}`, 'dead as well');
    expect(take('second')).toBe(true);
    expect(readFileSync(file, 'utf8')).toBe('second');
    expect(readdirSync(directory)).toEqual(['postmaster.pid']);
  });

  test('files that come and go for ever end in an answer', () => {
    writeFileSync(file, 'dead');
    let turns = 0;
    const restless = () => writeFileSync(file, `dead ${turns++}`);
    expect(take('us', restless)).toBe(false);
    expect(turns).toBeGreaterThanOrEqual(MAX_TRIES);
  });
});

describe('two processes that start in the same moment', () => {
  const library = pathToFileURL(fileURLToPath(new URL('../../', import.meta.url))).href;
  const racer = `
    import { createJiti } from 'jiti';
    const load = createJiti(${JSON.stringify(`${library}test/unit/racer.mjs`)}, { fsCache: false });
    const { LockFile } = await load.import(${JSON.stringify(fileURLToPath(`${library}lib/data-directory/lock-file.ts`))});
    let lock = null;
    process.on('message', ({ directory, atNs }) => {
      if (directory === null) { lock?.remove(); lock = null; process.send('removed'); return; }
      while (process.hrtime.bigint() < BigInt(atNs)); // both leave this line within a microsecond
      try { lock = LockFile.create(directory); process.send('won'); }
      catch (error) { process.send(error.code + ': ' + error.message); }
    });
    process.send('at the line');
  `;
  let racers: ChildProcess[] = [];

  beforeEach(async () => {
    racers = [0, 1].map(() =>
      spawn(process.execPath, ['--input-type=module', '-e', racer], {
        cwd: fileURLToPath(library),
        stdio: ['ignore', 'inherit', 'inherit', 'ipc'],
      }),
    );
    await Promise.all(racers.map((child) => once(child, 'message')));
  });

  afterEach(async () => {
    const ends = racers.map((child) => once(child, 'exit'));
    for (const child of racers) child.disconnect();
    await Promise.all(ends);
  });

  test('only one gets the lock, 90 times: no file, a stale one, a stale successor too', async () => {
    const say = async (message: object) => {
      const answers = racers.map((child) => once(child, 'message').then(([answer]) => answer));
      for (const child of racers) child.send(message);
      return (await Promise.all(answers)) as string[];
    };
    const dead = deadPid();
    for (let round = 0; round < 90; round++) {
      if (round % 3 > 0) writeFileSync(file, formatLockFile(content(dead, `boot/${round} x`)));
      if (round % 3 > 1) {
        const right = rightTo(readFileSync(file, 'utf8'));
        writeFileSync(`${file}.${right}`, formatLockFile(content(dead, `boot/${round} y`)));
      }
      const atNs = String(process.hrtime.bigint() + 3_000_000n);
      const answers = await say({ directory, atNs });
      expect(answers.filter((answer) => answer === 'won')).toHaveLength(1);
      expect(answers.find((answer) => answer !== 'won')).toMatch(
        /^ERR_LOCK_FILE: .*already exists/,
      );
      expect(racers.map(({ pid }) => pid)).toContain(readLockFile(directory)?.pid);
      await say({ directory: null });
      expect(readdirSync(directory)).toEqual([]);
    }
  }, 30_000);
});

describe('the data directory', () => {
  test.each([
    [{ isDirectory: true, uid: 7, mode: 0o40700 }, 'fine'],
    [{ isDirectory: true, uid: 7, mode: 0o40750 }, 'fine'],
    [{ isDirectory: true, uid: 7, mode: 0o40710 }, 'fine'],
    [{ isDirectory: true, uid: 7, mode: 0o40770 }, 'wrong mode'],
    [{ isDirectory: true, uid: 7, mode: 0o40701 }, 'wrong mode'],
    [{ isDirectory: true, uid: 7, mode: 0o40755 }, 'wrong mode'],
    [{ isDirectory: true, uid: 8, mode: 0o40700 }, 'wrong owner'],
    [{ isDirectory: true, uid: 0, mode: 0o40700 }, 'wrong owner'],
    [{ isDirectory: false, uid: 7, mode: 0o40700 }, 'not a directory'],
  ] as const)('%j: %s', (status, verdict) => expect(judge(status, 7)).toBe(verdict));

  test('is made with its parents, closed to others', () => {
    const path = join(directory, 'a', 'b', 'data');
    expect(openDataDirectory(path)).toEqual({ path, created: true });
    expect(statSync(path).mode & 0o777).toBe(0o700);
    expect(openDataDirectory(path)).toEqual({ path, created: false });
  });

  test('that is ours and empty is put right, one with content is refused', () => {
    const path = join(directory, 'data');
    mkdirSync(path);
    chmodSync(path, 0o755);
    expect(openDataDirectory(path).created).toBe(false);
    expect(statSync(path).mode & 0o777).toBe(0o700);
    chmodSync(path, 0o755);
    writeFileSync(join(path, 'x'), '');
    refused(path, /"[^"]*data" has invalid permissions 0755: .*chmod 0700/);
    expect(statSync(path).mode & 0o777).toBe(0o755);
  });

  test('what is none is refused by name', () => {
    writeFileSync(join(directory, 'file'), '');
    refused(join(directory, 'file'), /is not a directory/);
    refused(join(directory, 'file', 'data'), /is not a directory|could not create/);
    refused('', /must be a path/);
    refused('a\nb', /must be a path of one line/);
  });

  test.skipIf(process.geteuid?.() !== 0)('of somebody else is refused', () => {
    const path = join(directory, 'data');
    mkdirSync(path, { mode: 0o700 });
    chownSync(path, 65_534, 65_534);
    refused(path, /wrong ownership: it belongs to uid 65534/);
  });

  function refused(path: string, message: RegExp) {
    expect(() => openDataDirectory(path)).toThrow(
      expect.objectContaining({
        code: 'ERR_DATA_DIRECTORY',
        message: expect.stringMatching(message),
      }),
    );
  }
});

test('a name with spaces and parentheses does not shift the fields of /proc/PID/stat', () => {
  const rest = Array.from({ length: 30 }, (_, index) => String(index + 5)).join(' ');
  expect(parseStat(`12 (a ) Z b)) S 3 ${rest}`)).toEqual({
    pid: 12,
    parentPid: 3,
    state: 'S',
    startTicks: '22',
  });
  expect(parseStat('nothing')).toBeNull();
});
