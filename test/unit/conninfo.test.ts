// What the differential test cannot see: our sentences, our stricter rules, the way back.

import { describe, expect, test } from 'vitest';
import { BgworkerError } from '../../lib/errors.ts';
import {
  type ConnectionTarget,
  type ConninfoEnvironment,
  describeHost,
  environmentOf,
  type FileLook,
  overrideConninfo,
  parseConninfo,
  processEnvironment,
  resolveConninfo,
} from '../../lib/postgres/conninfo/index.ts';

interface World {
  readonly env?: Record<string, string>;
  readonly files?: Record<string, string | FileLook>;
  readonly userName?: string | null;
}

/** An invented machine, and what it was warned of. */
function world({ env = {}, files = {}, userName = 'os_user' }: World = {}) {
  const warnings: string[] = [];
  const environment: ConninfoEnvironment = {
    env,
    readFile: (path) => {
      const content = files[path];
      if (content === undefined) return { kind: 'missing' };
      return typeof content === 'string' ? file(content) : content;
    },
    userName,
    homeDirectory: '/home/me',
    socketDirectory: '/run/sockets',
    systemDirectory: '/etc/system',
    warn: (sentence) => warnings.push(sentence),
  };
  return { environment, warnings };
}

function file(text: string, mode = 0o600): FileLook {
  return { kind: 'file', text, mode, uid: 1000 };
}

function resolve(conninfo: string, in_: World = {}): ConnectionTarget {
  return resolveConninfo(conninfo, world(in_).environment);
}

function refusal(decide: () => unknown): string {
  try {
    decide();
  } catch (error) {
    if (error instanceof BgworkerError && error.code === 'ERR_CONNINFO') return error.message;
    throw error;
  }
  return 'it was accepted';
}

describe('parseConninfo', () => {
  const sentences: [string, RegExp][] = [
    ['hsot=a', /unknown connection keyword "hsot" in the connection string; did you mean "host"\?/],
    ['database=a', /did you mean "dbname"\?/],
    ['Host=a', /did you mean "host"\?/],
    ['sslmod=a', /did you mean "sslmode"\?/],
    ['zebra=a', /unknown connection keyword "zebra".*Connection Strings/],
    ['host localhost', /missing "=" after "host" at character 1/],
    ["dbname='a", /the value of "dbname" begins with a single quote that is never closed/],
    ['host=a\0b', /NUL/],
    ['postgres://[::1', /no matching "\]"/],
    ['postgres://[]', /must not be empty/],
    ['postgres://[::1]z', /character 17/],
    ['postgres://h?uzer=', /unknown connection keyword "uzer" in the URI; did you mean "user"\?/],
    ['postgres://h?word', /the URI parameter "word" has no "="/],
    ['postgres://h?a=b=c', /the URI parameter "a" has more than one "="/],
    ['postgres://%zz', /the host of the URI contains a "%".*%25/],
    ['postgres://a%00b', /the host of the URI contains %00/],
    ['postgres://h/a b', /the database name of the URI contains a space; write it as %20/],
    ['postgres://h/%ff', /the database name of the URI is not UTF-8/],
  ];
  test.each(sentences)('%j is refused in words that help', (text, sentence) => {
    expect(refusal(() => parseConninfo(text))).toMatch(sentence);
  });

  test('overrides replace what the string says, and only that', () => {
    const options = overrideConninfo('host=h dbname=a user=b', {
      database: 'c',
      applicationName: 'd e',
    });
    expect(Object.fromEntries(options)).toEqual({
      host: 'h',
      dbname: 'c',
      user: 'b',
      application_name: 'd e',
    });
  });
});

describe('a password never appears in an error', () => {
  const spilt = [
    'password=hunter two2',
    'password=hunter two2=3 x',
    "password='hunter'two2=5",
    "password='hunter two2",
    'password=hunter sslmode two2',
    'sslpassword=x hunter=two2',
    'postgres://me:hunter%zztwo2@h/db',
    'postgres://me:hunter/two2@h/db',
    'postgres://me:hunter?two2@h/db?x',
    'postgres://me:x@hunter?two2=5@h/db',
    'postgres://me:x@hunter two2@h/db',
    'postgres://h/db?password=hunter&two2=3',
    'postgres://h/db?password=hunter&two2',
    'postgres://h/db?password=hunter%two2',
    'postgres://h/db?password=hunter=two2=5',
    'postgres://me:x@hunter@two2/db',
    'postgres://me:1234567/two2@h/db',
    'scram_client_key=hunter',
  ];
  test.each(spilt)('%s', (text) => {
    const sentence = refusal(() => resolve(text));
    expect(sentence).not.toMatch(/hunter|two2|1234567|it was accepted/);
  });
});

describe('resolveConninfo', () => {
  test('the built-in defaults', () => {
    const target = resolve('');
    expect(target).toMatchObject({
      hosts: [{ host: '/run/sockets', port: 5432 }],
      database: 'os_user',
      user: 'os_user',
      applicationName: null,
      targetSessionAttrs: 'any',
      loadBalanceHosts: 'disable',
      connectTimeoutMs: null,
      sslMode: 'prefer',
      keepalives: {
        enabled: true,
        idleSeconds: 0,
        intervalSeconds: 0,
        count: 0,
        userTimeoutMs: 0,
      },
      options: '',
    });
    expect(JSON.parse(JSON.stringify(target))).toEqual(target);
  });

  test('the string goes before the service, that before the variables', () => {
    const in_: World = {
      env: { PGSERVICE: 's', PGUSER: 'u3', PGDATABASE: 'd3', PGPORT: '3', PGAPPNAME: 'a3' },
      files: { '/home/me/.pg_service.conf': '[s]\nport=2\ndbname=d2\n' },
    };
    expect(resolve('dbname=d1', in_)).toMatchObject({
      database: 'd1',
      user: 'u3',
      hosts: [{ port: 2 }],
      applicationName: 'a3',
    });
  });

  test('a service that only the machine has', () => {
    const files = {
      '/etc/system/pg_service.conf': '[s]\nhost=h\n',
      '/home/me/.pg_service.conf': '',
    };
    expect(resolve('service=s', { files }).hosts).toMatchObject([{ host: 'h' }]);
  });

  const refused: [string, World, RegExp][] = [
    ['sslmode=requir', {}, /sslmode must be one of disable, .*, got "requir"/],
    ['target_session_attrs=writable', {}, /target_session_attrs must be one of any, read-write/],
    ['connect_timeout=5s', {}, /connect_timeout must be a whole number of seconds.*got "5s"/],
    ['keepalives_idle=', {}, /keepalives_idle must be a whole number of seconds, got ""/],
    ['port=0', {}, /port must be a whole number from 1 to 65535/],
    ['host=a,b port=1,x', {}, /port 2 of 2 must be/],
    ['host=a,b,c port=1,2', {}, /port lists 2 entries for 3 hosts; give one port, or one per host/],
    ['host=a hostaddr=1.1.1.1,1.1.1.2', {}, /host lists 1 and hostaddr 2 entries/],
    ['hostaddr=db.example', {}, /hostaddr 1 is no IPv4 or IPv6 address; put a name into "host"/],
    ["host='a, b'", {}, /host 2 contains "@" or white space/],
    ['sslrootcert=system sslmode=require', {}, /sslrootcert=system needs sslmode=verify-full/],
    ['sslnegotiation=direct', {}, /sslnegotiation=direct needs sslmode require/],
    ['', { userName: null }, /set "user" or PGUSER/],
    ['service=s', {}, /no definition of service "s" \(there is no service file\)/],
    ['service=s', { env: { PGSERVICEFILE: '/x' } }, /"\/x", which PGSERVICEFILE names, cannot/],
    [
      'service=s',
      { files: { '/home/me/.pg_service.conf': '[t]' } },
      /no definition of service "s" \(looked in \/home\/me\/\.pg_service\.conf\); add a \[s\] section/,
    ],
    [
      'service=s',
      { files: { '/home/me/.pg_service.conf': '[s]\nhsot=a' } },
      /"hsot" in line 2 of "\/home\/me\/\.pg_service\.conf"; did you mean "host"\?/,
    ],
  ];
  test.each(refused)('%j in %j is refused in words that help', (text, in_, sentence) => {
    expect(refusal(() => resolve(text, in_))).toMatch(sentence);
  });

  const hostLists: [string, object[]][] = [
    [
      'host=a,b port=7',
      [
        { host: 'a', port: 7 },
        { host: 'b', port: 7 },
      ],
    ],
    [
      'host=a,b port=7,',
      [
        { host: 'a', port: 7 },
        { host: 'b', port: 5432 },
      ],
    ],
    [
      'host=a,,b',
      [
        { host: 'a', port: 5432 },
        { host: '/run/sockets', port: 5432 },
        { host: 'b', port: 5432 },
      ],
    ],
    ['hostaddr=::1', [{ hostaddr: '::1', port: 5432 }]],
    [
      'host=a,b hostaddr=1.1.1.1,',
      [
        { host: 'a', hostaddr: '1.1.1.1', port: 5432 },
        { host: 'b', port: 5432 },
      ],
    ],
    [
      'postgres://[::1]:7,b/',
      [
        { host: '::1', port: 7 },
        { host: 'b', port: 5432 },
      ],
    ],
  ];
  test.each(hostLists)('%s lists its hosts', (text, hosts) => {
    expect(resolve(text).hosts).toEqual(hosts);
  });

  test('numbers become milliseconds', () => {
    expect(resolve('connect_timeout=5').connectTimeoutMs).toBe(5000);
    expect(resolve('connect_timeout=-1').connectTimeoutMs).toBeNull();
  });

  const keepalives = { idleSeconds: 0, intervalSeconds: 0, count: 0, userTimeoutMs: 0 };
  const patience: [string, object][] = [
    ['keepalives=0 keepalives_idle=30', { ...keepalives, enabled: false, idleSeconds: 30 }],
    ['keepalives_interval=5', { ...keepalives, enabled: true, intervalSeconds: 5 }],
    ['keepalives_count=3', { ...keepalives, enabled: true, count: 3 }],
    ['tcp_user_timeout=2500', { ...keepalives, enabled: true, userTimeoutMs: 2500 }],
    ['keepalives_idle=-1 tcp_user_timeout=-1', { ...keepalives, enabled: true }],
  ];
  test.each(patience)('%s is kept; what is negative is the system’s', (text, expected) => {
    expect(resolve(text).keepalives).toEqual(expected);
  });
});

describe('the password file', () => {
  const lines = ['# comment', 'a:1:app:me:for a', '*:2:*:me:for\\:two', 'localhost:*:*:*:local'];
  const files = { '/home/me/.pgpass': lines.join('\n') };

  test('is matched for each host', () => {
    const { hosts } = resolve('host=a,b,c,/run/sockets,/tmp port=1,2,3,4,5 user=me dbname=app', {
      files,
    });
    expect(hosts.map(({ password }) => password)).toEqual([
      'for a',
      'for:two',
      undefined,
      'local',
      undefined,
    ]);
  });

  test('is not asked when there is a password', () => {
    const { environment, warnings } = world({ files: { '/home/me/.pgpass': file('', 0o644) } });
    expect(resolveConninfo('password=p', environment).hosts[0]?.password).toBe('p');
    expect(warnings).toEqual([]);
  });

  const ignored: [string, FileLook, RegExp | null][] = [
    ['readable by the group', file('*:*:*:*:p', 0o640), /has group or world access/],
    ['readable by the world', file('*:*:*:*:p', 0o604), /0600/],
    ['a directory', { kind: 'not a plain file' }, /is not a plain file/],
    ['not to be read', { kind: 'unreadable', cause: null }, null],
    ['missing', { kind: 'missing' }, null],
  ];
  test.each(ignored)('is ignored if it is %s', (_name, look, warning) => {
    const { environment, warnings } = world({ files: { '/home/me/.pgpass': look } });
    expect(resolveConninfo('host=a,b', environment).hosts[0]?.password).toBeUndefined();
    if (warning === null) expect(warnings).toEqual([]);
    else expect(warnings).toEqual([expect.stringMatching(warning)]);
  });
});

describe('environmentOf', () => {
  test('leaves nothing of libpq in the base, and resolves to the same target again', () => {
    const conninfo =
      "host=a,/b hostaddr=1.1.1.1, port=1,2 user=u dbname='d b' password=p application_name=x " +
      "options='-c geqo=off' sslmode=require connect_timeout=7 target_session_attrs=standby";
    const target = resolve(conninfo);
    const env = environmentOf(target, {
      PATH: '/bin',
      PGSERVICE: 's',
      PGREQUIRESSL: '1',
      PGDATA: '/data',
      GONE: undefined,
    });
    expect(env).toEqual({
      PATH: '/bin',
      PGDATA: '/data',
      PGHOST: 'a,/b',
      PGHOSTADDR: '1.1.1.1,',
      PGPORT: '1,2',
      PGDATABASE: 'd b',
      PGUSER: 'u',
      PGPASSWORD: 'p',
      PGAPPNAME: 'x',
      PGOPTIONS: '-c geqo=off',
      PGSSLMODE: 'require',
      PGCONNECT_TIMEOUT: '7',
      PGTARGETSESSIONATTRS: 'standby',
    });
    const { settings: _before, ...again } = resolve('', { env });
    const { settings: _after, ...first } = target;
    expect(again).toEqual(first);
  });

  test('names the password file where one variable cannot hold the passwords', () => {
    const target = resolve('host=a,b passfile=/p', { files: { '/p': 'a:*:*:*:1\nb:*:*:*:2' } });
    const env = environmentOf(target);
    expect(env).toMatchObject({ PGPASSFILE: '/p' });
    expect(env).not.toHaveProperty('PGPASSWORD');
  });
});

test('describeHost shows no more than where it is', () => {
  expect(describeHost({ host: 'a', port: 1, password: 'p' })).toBe('a:1');
  expect(describeHost({ host: 'a', port: 1 }, '10.0.0.1')).toBe('a:1 (10.0.0.1)');
  expect(describeHost({ hostaddr: '::1', port: 1 })).toBe('[::1]:1');
  expect(describeHost({ host: '/tmp', port: 1 })).toBe('/tmp/.s.PGSQL.1');
});

test("this process's environment can be read", () => {
  const environment = processEnvironment({ HOME: '/h' });
  expect(environment.homeDirectory).toBe('/h');
  expect(environment.readFile('/no/such/file')).toEqual({ kind: 'missing' });
  expect(environment.readFile('/')).toEqual({ kind: 'not a plain file' });
});
