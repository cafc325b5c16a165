// What a Postmaster is made with: every option, its bounds, and the sentence for each mistake.

import { resolve } from 'node:path';
import { pathToFileURL } from 'node:url';
import { describe, expect, test } from 'vitest';
import { BgworkerError } from '../../../lib/errors.ts';
import { type CheckedOptions, checkOptions } from '../../../lib/register/options.ts';

const MINIMAL = { dataDirectory: '/d' };

function refusal(input: unknown): string {
  try {
    checkOptions(input);
  } catch (error) {
    expect(error).toBeInstanceOf(BgworkerError);
    expect((error as BgworkerError).code).toBe('ERR_INVALID_OPTION');
    return (error as Error).message;
  }
  throw new Error(`it was let through: ${JSON.stringify(input)}`);
}

const DEFAULTS: CheckedOptions = {
  dataDirectory: '/d',
  preload: [],
  maxWorkerProcesses: 8,
  maxParallelWorkers: 8,
  postgres: null,
  launch: 'fork',
  restartAfterCrash: true,
  shutdownTimeout: 60,
  startTimeout: 60,
  log: { level: 'info', format: 'text' },
  handleSignals: false,
  clients: null,
};

test('what nobody said is filled in', () => expect(checkOptions(MINIMAL)).toEqual(DEFAULTS));

describe('let through', () => {
  const good: [field: keyof CheckedOptions, value: unknown, become?: unknown][] = [
    ['dataDirectory', 'data', resolve('data')],
    ['dataDirectory', 'file:///d%20x', '/d x'],
    ['dataDirectory', 'file://localhost/d', '/d'],
    ['dataDirectory', new URL('file:///d'), '/d'],
    ['preload', []],
    ['preload', ['w.js'], [pathToFileURL(resolve('w.js')).href]],
    ['preload', ['/a/b c.js', new URL('file:///w.js')], ['file:///a/b%20c.js', 'file:///w.js']],
    ['preload', ['file:///w.js'], ['file:///w.js']],
    ['maxWorkerProcesses', 1],
    ['maxWorkerProcesses', 262_143],
    ['maxParallelWorkers', 0],
    ['maxParallelWorkers', 1024],
    ['postgres', undefined, null],
    ['postgres', { embedded: true }],
    ['postgres', { embedded: true, binDirectory: '/b', settings: { work_mem: '4MB' } }],
    ['postgres', { conninfo: '' }],
    ['postgres', { conninfo: 'host=/tmp dbname=app' }],
    ['launch', 'exec'],
    ['restartAfterCrash', false],
    ['shutdownTimeout', 0],
    ['shutdownTimeout', 86_400],
    ['startTimeout', 1],
    ['startTimeout', 86_400],
    ['postgres', { conninfo: 'host=/tmp', onServerLoss: 'restart' }],
    ['postgres', { embedded: true, onServerLoss: 'keep' }],
    ['log', {}, { level: 'info', format: 'text' }],
    ['log', { level: 'debug' }, { level: 'debug', format: 'text' }],
    ['log', { format: 'json' }, { level: 'info', format: 'json' }],
    ['handleSignals', true],
  ];
  test.each(good)('%s %o', (field, value, become = value) => {
    expect(checkOptions({ ...MINIMAL, [field]: value })).toEqual({ ...DEFAULTS, [field]: become });
  });
});

describe('refused, with the option, the rule and the value', () => {
  const PLACE = 'must be a path or a file: URL of this machine';
  const SECONDS = 'must be a whole number of seconds from';
  const SLOTS = 'must be a whole number from 1 to 262143';
  const POSTGRES = 'must be { embedded: true } or { conninfo: … }';
  const numbers = [Number.NaN, Infinity, 1.5, -1, '5', null, true, {}];
  const bad: [field: string, rule: string, values: unknown[]][] = [
    ['dataDirectory', PLACE, [undefined, null, '', 7, {}, 'a\0b', 'file://host/d', 'file:///%2F']],
    ['dataDirectory', PLACE, [new URL('http://host/d'), new URL('file://host/d')]],
    ['preload', 'must be a list of modules', ['w.js', null, {}]],
    ['maxWorkerProcesses', SLOTS, [0, 262_144, ...numbers]],
    ['maxParallelWorkers', 'must be a whole number from 0 to 1024', [1_025, ...numbers]],
    ['shutdownTimeout', `${SECONDS} 0 to 86400`, [86_401, ...numbers]],
    ['startTimeout', `${SECONDS} 1 to 86400`, [0, 86_401, ...numbers]],
    ['launch', "must be 'fork' or 'exec'", ['', 'spawn', null, 1]],
    ['restartAfterCrash', 'must be true or false', ['yes', 0, null]],
    ['handleSignals', 'must be true or false', ['yes', 0, null]],
    ['log', 'must be { level, format }', ['debug', null, 3]],
    ['postgres', POSTGRES, ['host=/tmp', null, true]],
  ];
  const cells = bad.flatMap(([field, rule, values]) => values.map((value) => [field, value, rule]));
  test.each(cells as [string, unknown, string][])('%s %o', (field, value, rule) => {
    const sentence = refusal({ ...MINIMAL, [field]: value });
    expect(sentence).toContain(`postmaster options: ${field} ${rule}, got `);
    expect(sentence).not.toContain('\n');
  });

  const spoken: [input: unknown, sentence: string][] = [
    [7, 'postmaster options: options must be an object, got 7'],
    [{}, `postmaster options: dataDirectory ${PLACE}, got undefined`],
    [
      { dataDir: '/d' },
      'postmaster options: there is no option "dataDir"; the options are dataDirectory, preload, maxWorkerProcesses, maxParallelWorkers, postgres, launch, restartAfterCrash, shutdownTimeout, startTimeout, log, handleSignals, listen, maxConnections, reservedConnections, spareBackends',
    ],
    [
      { dataDirektory: '/d' },
      'postmaster options: there is no option "dataDirektory"; did you mean "dataDirectory"?',
    ],
    [
      { ...MINIMAL, dataDirectory: new URL('http://host/d') },
      `postmaster options: dataDirectory ${PLACE}, got 'http://host/d'`,
    ],
    [{ ...MINIMAL, preload: ['a', ''] }, `postmaster options: preload.1 ${PLACE}, got ''`],
    [{ ...MINIMAL, preload: [3] }, `postmaster options: preload.0 ${PLACE}, got 3`],
    [
      { ...MINIMAL, log: { levle: 'info' } },
      'postmaster options: there is no option "log.levle"; did you mean "log.level"?',
    ],
    [
      { ...MINIMAL, log: { level: 'loud' } },
      "postmaster options: log.level must be 'trace' or 'debug' or 'info' or 'warn' or 'error' or 'fatal' or 'silent', got 'loud'",
    ],
    [
      { ...MINIMAL, postgres: {} },
      'postmaster options: postgres.embedded must be true; for a server that exists, give conninfo instead, got undefined',
    ],
    [
      { ...MINIMAL, postgres: { conninfo: '', onServerLoss: 'die' } },
      "postmaster options: postgres.onServerLoss must be 'restart' or 'keep', got 'die'",
    ],
    [
      { ...MINIMAL, postgres: { conninfo: 5 } },
      'postmaster options: postgres.conninfo must be a text, got 5',
    ],
    [
      { ...MINIMAL, postgres: { embedded: true, setings: {} } },
      'postmaster options: there is no option "postgres.setings"; did you mean "postgres.settings"?',
    ],
    [
      { ...MINIMAL, postgres: { embedded: true, settings: { port: 5432 } } },
      'postmaster options: postgres.settings.port must be a text, got 5432',
    ],
    [
      { ...MINIMAL, postgres: { embedded: true, conninfo: 'password=hush' } },
      'postmaster options: there is no option "postgres.embedded"; the options are postgres.conninfo, postgres.onServerLoss',
    ],
  ];
  test.each(spoken)('%o', (input, sentence) => expect(refusal(input)).toBe(sentence));

  test('workers and connections together have no more slots than there are', () => {
    const clients = { listen: [{ port: 1 }], maxConnections: 262_143 - 1_000 };
    const options = { ...MINIMAL, ...clients, maxWorkerProcesses: 1_000 };
    expect(checkOptions(options).clients?.maxConnections).toBe(261_143);
    expect(refusal({ ...options, maxWorkerProcesses: 1_001 })).toBe(
      'postmaster options: maxConnections must be at most 261142 with maxWorkerProcesses 1001, got 261143',
    );
  });

  test('a password is not shown, whatever else is wrong with the option', () => {
    const sentence = refusal({ ...MINIMAL, postgres: { conninfo: 'password=hush', port: 5 } });
    expect(sentence).not.toContain('hush');
  });
});
