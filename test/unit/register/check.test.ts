// The sanity check of a registration (§1.1 to §1.4), field by field: what is let through and as
// what, what is refused and in which words. A sentence names the field, the rule and the value.

import { describe, expect, test } from 'vitest';
import { BgworkerError } from '../../../lib/errors.ts';
import { START_TIMES } from '../../../lib/model/phase.ts';
import type { Registration } from '../../../lib/model/registration.ts';
import { checkRegistration, type Origin } from '../../../lib/register/check.ts';

const STATIC: Origin = { kind: 'static', argProblem: null };
const DYNAMIC: Origin = { kind: 'dynamic' };
const MINIMAL = { name: 'w', module: '/w.js' };

function refusal(input: unknown, origin: Origin = STATIC): string {
  try {
    checkRegistration(input, origin);
  } catch (error) {
    expect(error).toBeInstanceOf(BgworkerError);
    expect((error as BgworkerError).code).toBe('ERR_INVALID_REGISTRATION');
    return (error as Error).message;
  }
  throw new Error(`it was let through: ${JSON.stringify(input)}`);
}

const bytes = (count: number) => 'n'.repeat(count);
const NAME_RULE = 'must be a text of 1 to 95 bytes without control characters';
const RESTART_RULE = "must be 'never' or a whole number of seconds from 0 to 86400000";
const START_RULE = "must be 'PostmasterStart' or 'ConsistentState' or 'RecoveryFinished'";
const FLAG_RULE =
  "must be 'SHMEM_ACCESS' or 'BACKEND_DATABASE_CONNECTION' or 'CLASS_PARALLEL' or 'INTERRUPTIBLE'";
const LAUNCH_RULE = "must be 'fork' or 'exec'";
const MODULE_RULE = 'must be a file: URL, an absolute path or a package name of 1 to 4096 bytes';
const LIBRARY_RULE = 'must be the path of a shared library of 1 to 4096 bytes';
const NATIVE_RULE = 'must have library (a path) and function (a name)';
const NUL_RULE = 'must have no NUL character in it';

test('what nobody said is filled in', () => {
  expect(checkRegistration(MINIMAL, STATIC)).toEqual({
    name: 'w',
    type: 'w',
    flags: [],
    startTime: 'RecoveryFinished',
    restartTime: 60,
    restartOnExit0: false,
    launch: null,
    database: null,
    user: null,
    body: { kind: 'module', module: '/w.js', function: 'main' },
  } satisfies Registration);
});

describe('let through', () => {
  const good: [field: string, value: unknown, become?: Partial<Registration>][] = [
    ['name', 'n'],
    ['name', bytes(95)],
    ['name', 'é'.repeat(47)], // 94 bytes
    ['type', bytes(95)],
    ['type', undefined, { type: 'w' }],
    ['flags', []],
    ['flags', ['SHMEM_ACCESS']],
    ['flags', ['SHMEM_ACCESS', 'SHMEM_ACCESS'], { flags: ['SHMEM_ACCESS'] }],
    ['startTime', 'PostmasterStart'],
    ['startTime', 'ConsistentState'],
    ['startTime', 'RecoveryFinished'],
    ['restartTime', 'never'],
    ['restartTime', 0],
    ['restartTime', 1],
    ['restartTime', 86_399_999],
    ['restartTime', 86_400_000],
    ['restartTime', undefined, { restartTime: 60 }],
    ['restartOnExit0', true],
    ['restartOnExit0', false],
    ['launch', 'fork'],
    ['launch', 'exec'],
    ['launch', undefined, { launch: null }],
    ['database', bytes(95)],
    ['user', bytes(95)],
    ['function', 'other', { body: { kind: 'module', module: '/w.js', function: 'other' } }],
    ['module', bytes(4096), { body: { kind: 'module', module: bytes(4096), function: 'main' } }],
    [
      'module',
      new URL('file:///a/w.js'),
      { body: { kind: 'module', module: 'file:///a/w.js', function: 'main' } },
    ],
    ['arg', null, {}],
    ['arg', { deep: [1, new Date(0), new Map()] }, {}],
  ];

  test.each(good)('%s %o', (field, value, become = { [field]: value } as Partial<Registration>) => {
    expect(checkRegistration({ ...MINIMAL, [field]: value }, STATIC)).toMatchObject(become);
    expect(checkRegistration({ ...MINIMAL, [field]: value }, DYNAMIC)).toMatchObject(become);
  });

  const bodies: [given: object, body: Registration['body'], dynamic: boolean][] = [
    [{ main: 'function' }, { kind: 'closure' }, false],
    [{ module: 'm' }, { kind: 'module', module: 'm', function: 'main' }, true],
    [{ exec: ['p'] }, { kind: 'exec', argv: ['p'] }, true],
    [{ exec: ['p', '', 'a b'] }, { kind: 'exec', argv: ['p', '', 'a b'] }, true],
    [
      { native: { library: '/l.so', function: 'f' } },
      { kind: 'native', library: '/l.so', function: 'f' },
      true,
    ],
    [
      { native: { library: new URL('file:///l.so'), function: 'f' } },
      { kind: 'native', library: 'file:///l.so', function: 'f' },
      true,
    ],
  ];

  test.each(bodies)('the body %o', (given, body, dynamic) => {
    expect(checkRegistration({ name: 'w', ...given }, STATIC).body).toEqual(body);
    if (dynamic) expect(checkRegistration({ name: 'w', ...given }, DYNAMIC).body).toEqual(body);
  });
});

describe('refused, with the field, the rule and the value', () => {
  const wrongTypes = [null, 7, true, {}, [], Symbol.iterator, () => 0];
  const bad: [field: string, rule: string, values: unknown[]][] = [
    ['name', NAME_RULE, ['', bytes(96), bytes(200), 'é'.repeat(48), 'a\nb', '\0', '\x7f', '\x85']],
    ['name', NAME_RULE, [undefined, ...wrongTypes]],
    ['type', NAME_RULE, ['', bytes(96), bytes(200), 'a\tb', ...wrongTypes]],
    ['database', NAME_RULE, ['', bytes(96), 'a\rb', ...wrongTypes]],
    ['user', NAME_RULE, ['', bytes(96), 'a\x1bb', ...wrongTypes]],
    ['function', NAME_RULE, ['', bytes(96), 'a\0b', ...wrongTypes]],
    ['startTime', START_RULE, ['', 'postmasterstart', 'PostmasterStart ', 'RUN', ...wrongTypes]],
    [
      'restartTime',
      RESTART_RULE,
      [-1, -2, 86_400_001, 0.5, Number.NaN, Infinity, -Infinity, 2 ** 53, 1n, '10', 'Never', ''],
    ],
    ['restartTime', RESTART_RULE, wrongTypes.filter((one) => one !== 7)],
    ['restartOnExit0', 'must be true or false', [0, 1, 'true', null, {}]],
    ['launch', LAUNCH_RULE, ['', 'spawn', ...wrongTypes]],
    [
      'flags',
      'must be a list of SHMEM_ACCESS, BACKEND_DATABASE_CONNECTION, CLASS_PARALLEL, INTERRUPTIBLE',
      ['SHMEM_ACCESS'],
    ],
    [
      'flags',
      'must be a list of SHMEM_ACCESS, BACKEND_DATABASE_CONNECTION, CLASS_PARALLEL, INTERRUPTIBLE',
      [3, null, {}],
    ],
    ['module', MODULE_RULE, ['', bytes(4097), ...wrongTypes]],
    ['module', NUL_RULE, ['a\0b']],
  ];

  const cells = bad.flatMap(([field, rule, values]) => values.map((value) => [field, value, rule]));
  test.each(cells as [string, unknown, string][])('%s %o', (field, value, rule) => {
    const input = { ...MINIMAL, [field]: value };
    for (const origin of [STATIC, DYNAMIC]) {
      const sentence = refusal(input, origin);
      expect(sentence).toContain(`: ${field} ${rule}, got `);
      expect(sentence.length).toBeLessThan(400);
      // biome-ignore lint/suspicious/noControlCharactersInRegex: that is what is looked for.
      expect(sentence).not.toMatch(/[\x00-\x1f\x7f]/);
    }
  });

  const spoken: [input: unknown, sentence: string, origin?: Origin][] = [
    [null, 'background worker: options must be an object, got null'],
    [undefined, 'background worker: options must be an object, got undefined'],
    ['w', "background worker: options must be an object, got 'w'"],
    [{}, `background worker: name ${NAME_RULE}, got undefined`],
    [[], `background worker: name ${NAME_RULE}, got undefined`],
    [{ ...MINIMAL, name: 'a\nb' }, `background worker: name ${NAME_RULE}, got 'a\\nb'`],
    [
      { ...MINIMAL, name: bytes(200) },
      `background worker: name ${NAME_RULE}, got '${bytes(100)}'... 100 more characters`,
    ],
    [{ ...MINIMAL, restartTime: -2 }, `background worker "w": restartTime ${RESTART_RULE}, got -2`],
    [
      { ...MINIMAL, restartTime: Number.NaN },
      `background worker "w": restartTime ${RESTART_RULE}, got NaN`,
    ],
    [
      { ...MINIMAL, flags: ['SHMEM_ACCESS', 'BYPASS_ALLOWCONN'] },
      `background worker "w": flags.1 ${FLAG_RULE}, got 'BYPASS_ALLOWCONN'`,
    ],
    [
      { ...MINIMAL, flags: ['CLASS_PARALLEL'] },
      `background worker "w": restartTime must be 'never' for a worker of the class CLASS_PARALLEL, got 60`,
    ],
    [
      { ...MINIMAL, flags: ['CLASS_PARALLEL'], restartTime: 'never', restartOnExit0: true },
      'background worker "w": restartOnExit0 must be false for a worker of the class CLASS_PARALLEL, which is never started again, got true',
    ],
    [
      { ...MINIMAL, restarttime: 5 },
      'background worker "w": there is no option "restarttime"; did you mean "restartTime"?',
    ],
    // Misspelt is also missing; only the misspelling is worth a sentence.
    [
      { nmae: 'w', module: 'm' },
      'background worker: there is no option "nmae"; did you mean "name"?',
    ],
    [
      { ...MINIMAL, priority: 1 },
      'background worker "w": there is no option "priority"; the options are name, type, flags, startTime, restartTime, restartOnExit0, launch, database, user, arg, main, module, function, exec, native',
    ],
    [
      { name: 'w' },
      'background worker "w": must say what to run: main (a function), module, exec or native',
    ],
    [{ name: 'w', main: 'string' }, `background worker "w": main must be a function, got 'string'`],
    [
      { name: 'w', main: () => 0 },
      'background worker "w": main is not possible for a dynamic worker, because a closure cannot travel to another process; give module and function instead, got [Function: main]',
      DYNAMIC,
    ],
    [
      { name: 'w', module: './w.js' },
      `background worker "w": module must be a file: URL, an absolute path or a package name, not a relative path, got './w.js'`,
    ],
    [
      { ...MINIMAL, arg: 1 },
      'background worker "w": arg must be structured-cloneable: () => {} could not be cloned.',
      { kind: 'static', argProblem: '() => {} could not be cloned.' },
    ],
    [{ name: 'w', exec: [] }, 'background worker "w": exec must name a program, got []'],
    [
      { name: 'w', exec: ['', 'a'] },
      `background worker "w": exec must name a program, got [ '', 'a' ]`,
    ],
    [
      { name: 'w', exec: 'ls -l' },
      `background worker "w": exec must be a list of texts: the program, its arguments, got 'ls -l'`,
    ],
    [{ name: 'w', exec: ['p', 3] }, 'background worker "w": exec.1 must be a text, got 3'],
    [{ name: 'w', exec: ['p\0'] }, `background worker "w": exec.0 ${NUL_RULE}, got 'p\\x00'`],
    [{ name: 'w', native: 7 }, `background worker "w": native ${NATIVE_RULE}, got 7`],
    [
      { name: 'w', native: {} },
      `background worker "w": native.library ${LIBRARY_RULE}, got undefined`,
    ],
    [
      { name: 'w', native: { library: '/l.so' } },
      `background worker "w": native.function ${NAME_RULE}, got undefined`,
    ],
    [
      { name: 'w', native: { library: '/l\0', function: 'f' } },
      `background worker "w": native.library ${NUL_RULE}, got '/l\\x00'`,
    ],
    [
      { name: 'w', native: { libary: '/l.so', function: 'f' } },
      'background worker "w": there is no option "native.libary"; did you mean "native.library"?',
    ],
    [
      { name: 'w', exec: ['p'], function: 'f' },
      'background worker "w": function is the name of a function of a module, and there is no module; give module, or leave function out, got \'f\'',
    ],
    [
      { name: 'w', main: 'function', function: 'f' },
      'background worker "w": function is the name of a function of a module, and there is no module; give module, or leave function out, got \'f\'',
    ],
  ];

  test.each(spoken)('%o', (input, sentence, origin = STATIC) => {
    expect(refusal(input, origin)).toBe(sentence);
  });

  test('exactly one body: every other number of them', () => {
    const bodies = {
      main: 'function',
      module: 'm',
      exec: ['p'],
      native: { library: 'l', function: 'f' },
    };
    const names = Object.keys(bodies) as (keyof typeof bodies)[];
    for (let mask = 0; mask < 16; mask++) {
      const given = names.filter((_, bit) => (mask & (1 << bit)) !== 0);
      const input = { name: 'w', ...Object.fromEntries(given.map((one) => [one, bodies[one]])) };
      if (given.length === 1) expect(checkRegistration(input, STATIC)).toBeDefined();
      else if (given.length === 0) expect(refusal(input)).toContain('must say what to run');
      else expect(refusal(input)).toContain(`not ${given.join(' and ')}`);
    }
  });
});

describe('flags × start time × body × origin', () => {
  const BODIES = {
    closure: { main: 'function' },
    module: { module: 'm' },
    exec: { exec: ['p'] },
    native: { native: { library: 'l', function: 'f' } },
  } as const;
  const FLAGS = {
    none: [],
    memory: ['SHMEM_ACCESS'],
    database: ['BACKEND_DATABASE_CONNECTION'],
    both: ['SHMEM_ACCESS', 'BACKEND_DATABASE_CONNECTION'],
    interruptible: ['INTERRUPTIBLE'],
    'memory, interruptible': ['SHMEM_ACCESS', 'INTERRUPTIBLE'],
    all: ['SHMEM_ACCESS', 'BACKEND_DATABASE_CONNECTION', 'INTERRUPTIBLE'],
  } as const;

  /** By hand, from §1.3 and the decisions: the field that is refused, or null. First match wins. */
  function refused(
    flags: keyof typeof FLAGS,
    startTime: string,
    body: keyof typeof BODIES,
    origin: Origin,
  ): string | null {
    if (body === 'exec' && flags !== 'none') return 'flags';
    if (flags === 'database') return 'flags';
    const isBare = flags === 'none' || flags === 'interruptible';
    if (startTime === 'PostmasterStart' && !isBare) return 'startTime';
    if (flags.endsWith('interruptible')) return 'flags';
    if (origin.kind === 'dynamic' && body === 'closure') return 'main';
    return null;
  }

  const cells = (Object.keys(FLAGS) as (keyof typeof FLAGS)[]).flatMap((flags) =>
    START_TIMES.flatMap((startTime) =>
      (Object.keys(BODIES) as (keyof typeof BODIES)[]).flatMap((body) =>
        [STATIC, DYNAMIC].map((origin) => ({ flags, startTime, body, origin })),
      ),
    ),
  );

  test('is a table of 168 cells', () => expect(cells).toHaveLength(7 * 3 * 4 * 2));

  test.each(cells)('$flags × $startTime × $body × $origin.kind', (cell) => {
    const { flags, startTime, body, origin } = cell;
    const input = { name: 'w', flags: FLAGS[flags], startTime, ...BODIES[body] };
    const field = refused(flags, startTime, body, origin);
    if (field !== null)
      expect(refusal(input, origin)).toContain(`background worker "w": ${field} `);
    else expect(checkRegistration(input, origin)).toMatchObject({ startTime, flags: FLAGS[flags] });
  });
});

test('INTERRUPTIBLE is final, and so excludes restartOnExit0', () => {
  const flags = ['SHMEM_ACCESS', 'BACKEND_DATABASE_CONNECTION', 'INTERRUPTIBLE'];
  expect(refusal({ ...MINIMAL, flags, restartOnExit0: true })).toBe(
    'background worker "w": restartOnExit0 is not possible for an INTERRUPTIBLE worker, because it leaves with 0 when its database is gone, got true',
  );
  expect(refusal({ ...MINIMAL, flags: ['INTERRUPTIBLE'] })).toContain(
    'flags must include BACKEND_DATABASE_CONNECTION for INTERRUPTIBLE',
  );
});

test('what is checked is not changed, and what it was made from may change afterwards', () => {
  const exec: [string, ...string[]] = ['p', 'a'];
  const input = Object.freeze({ name: 'w', exec: Object.freeze(exec) });
  expect(checkRegistration(input, STATIC).body).toEqual({ kind: 'exec', argv: ['p', 'a'] });
});
