// The command line as a table: every option in every way to write it, and every way to get it wrong.

import { describe, expect, test } from 'vitest';
import { parseArguments } from '../../lib/cli/arguments.ts';
import { type LaunchSettings, type Settings, UsageError } from '../../lib/cli/command.ts';
import { COMMAND_NAMES, COMMANDS, type Command } from '../../lib/cli/commands.ts';
import { commandHelp, generalHelp } from '../../lib/cli/help.ts';
import { seeHelp } from '../../lib/cli/messages.ts';
import { OPTIONS, type OptionForm, type OptionName, STOP_MODES } from '../../lib/cli/options.ts';

const DEFAULTS: Settings = {
  dataDirectory: 'd',
  configFile: null,
  logFile: null,
  foreground: false,
  mode: 'fast',
  silent: false,
  timeoutMs: 60_000,
  wait: true,
  operands: [],
  launch: null,
};

const LAUNCH: LaunchSettings = {
  program: null,
  name: null,
  type: null,
  function: null,
  arg: null,
  flags: [],
  restartTime: null,
  database: null,
  user: null,
};

const launching = (operands: string[], changes: Partial<LaunchSettings> = {}) => ({
  operands,
  launch: { ...LAUNCH, ...changes },
});

function words(line: string): string[] {
  return line === '' ? [] : line.split(' ');
}

describe('good command lines', () => {
  const table: [line: string, command: string, settings: Partial<Settings>][] = [
    ['stop -D d', 'stop', {}],
    ['-D d stop', 'stop', {}],
    ['stop -Dd', 'stop', {}],
    ['stop --pgdata d', 'stop', {}],
    ['stop --pgdata=d', 'stop', {}],
    ['stop --pgdata=-d', 'stop', { dataDirectory: '-d' }],
    ['stop -D x -D d', 'stop', {}],
    ['reload -D d', 'reload', {}],
    ['status -D d', 'status', {}],
    ['status -s -D d', 'status', { silent: true }],
    ['status --silent -D d', 'status', { silent: true }],
    ['stop -D d -m smart', 'stop', { mode: 'smart' }],
    ['stop -D d -m s', 'stop', { mode: 'smart' }],
    ['stop -D d -ms', 'stop', { mode: 'smart' }],
    ['stop -D d -m fast', 'stop', { mode: 'fast' }],
    ['stop -D d -m f', 'stop', { mode: 'fast' }],
    ['stop -D d --mode immediate', 'stop', { mode: 'immediate' }],
    ['stop -D d --mode=i', 'stop', { mode: 'immediate' }],
    ['stop -D d -t 1', 'stop', { timeoutMs: 1_000 }],
    ['stop -D d -t5', 'stop', { timeoutMs: 5_000 }],
    ['stop -D d --timeout 86400', 'stop', { timeoutMs: 86_400_000 }],
    ['stop -D d -W', 'stop', { wait: false }],
    ['stop -D d --no-wait', 'stop', { wait: false }],
    ['stop -D d -w', 'stop', { wait: true }],
    ['stop -D d -W --wait', 'stop', { wait: true }],
    ['stop -D d -w -W', 'stop', { wait: false }],
    ['stop -sWD d', 'stop', { silent: true, wait: false }],
    ['start', 'start', { dataDirectory: null }],
    ['start -D d -c f.ts', 'start', { configFile: 'f.ts' }],
    ['start -D d --config=f.ts', 'start', { configFile: 'f.ts' }],
    ['start -D d -l out', 'start', { logFile: 'out' }],
    ['start -D d --log out', 'start', { logFile: 'out' }],
    ['start -D d --foreground', 'start', { foreground: true }],
    ['-s start -D d', 'start', { silent: true }],
    ['ps -D d', 'ps', {}],
    ['terminate -D d 3/17', 'terminate', { operands: ['3/17'] }],
    ['terminate w -D d -W', 'terminate', { operands: ['w'], wait: false }],
    ['-D d terminate w', 'terminate', { operands: ['w'] }],
    ['terminate -D d -- -w', 'terminate', { operands: ['-w'] }],
    ['launch -D d job.js', 'launch', launching(['job.js'])],
    ['launch job.js -D d -t 5', 'launch', { ...launching(['job.js']), timeoutMs: 5_000 }],
    ['launch -D d --name n --type t m', 'launch', launching(['m'], { name: 'n', type: 't' })],
    ['launch -D d --function f m', 'launch', launching(['m'], { function: 'f' })],
    ['launch -D d --arg={"a":1} m', 'launch', launching(['m'], { arg: '{"a":1}' })],
    ['launch -D d --flag A --flag=B m', 'launch', launching(['m'], { flags: ['A', 'B'] })],
    ['launch -D d --restart-time never m', 'launch', launching(['m'], { restartTime: 'never' })],
    ['launch -D d --restart-time 0 m', 'launch', launching(['m'], { restartTime: 0 })],
    [
      'launch -D d --restart-time 1 --restart-time 2 m',
      'launch',
      launching(['m'], { restartTime: 2 }),
    ],
    [
      'launch -D d --database a --user b m',
      'launch',
      launching(['m'], { database: 'a', user: 'b' }),
    ],
    ['launch -D d -- ls', 'launch', launching([], { program: ['ls'] })],
    [
      'launch -D d --name n -- ls -l -D x',
      'launch',
      launching([], { name: 'n', program: ['ls', '-l', '-D', 'x'] }),
    ],
    ['launch -D d -- sh -- x', 'launch', launching([], { program: ['sh', '--', 'x'] })],
  ];
  test.each(table)('%s', (line, command, settings) => {
    expect(parseArguments(words(line), {})).toEqual({
      kind: 'run',
      command,
      settings: { ...DEFAULTS, ...settings },
    });
  });
});

describe('the data directory', () => {
  const dataDirectory = (line: string, env: NodeJS.ProcessEnv) => {
    const invocation = parseArguments(words(line), env);
    return invocation.kind === 'run' ? invocation.settings.dataDirectory : undefined;
  };
  test('comes from BGWORKER_DATA without -D', () => {
    expect(dataDirectory('stop', { BGWORKER_DATA: 'e' })).toBe('e');
    expect(dataDirectory('stop -D d', { BGWORKER_DATA: 'e' })).toBe('d');
  });
  test('an empty BGWORKER_DATA is none', () => {
    expect(() => dataDirectory('stop', { BGWORKER_DATA: '' })).toThrow(/no data directory/);
  });
});

describe('questions', () => {
  const table: [line: string, expected: object][] = [
    ['help', { kind: 'help', command: null }],
    ['--help', { kind: 'help', command: null }],
    ['-h', { kind: 'help', command: null }],
    ['--version', { kind: 'version' }],
    ['-V', { kind: 'version' }],
    ['stop --version', { kind: 'version' }],
    ...COMMAND_NAMES.flatMap((command): [string, object][] => [
      [`help ${command}`, { kind: 'help', command }],
      [`${command} --help`, { kind: 'help', command }],
      [`--help ${command}`, { kind: 'help', command }],
    ]),
  ];
  test.each(table)('%s', (line, expected) => {
    expect(parseArguments(words(line), {})).toEqual(expected);
  });

  test.each(COMMAND_NAMES)('the help of %s names each of its options', (name) => {
    const help = commandHelp(name);
    const { options }: Command = COMMANDS[name];
    for (const option of options) expect(help).toContain(`--${option}`);
    for (const line of help.split('\n')) expect(line.length).toBeLessThanOrEqual(100);
    expect(generalHelp()).toContain(`bgworker ${name}`);
  });
});

describe('bad command lines', () => {
  const table: [line: string, sentence: string, command: string | null][] = [
    ['', 'no operation specified', null],
    ['-D d', 'no operation specified', null],
    ['stpo', 'unrecognized operation mode "stpo"; did you mean "stop"?', null],
    ['help staus', 'unrecognized operation mode "staus"; did you mean "status"?', null],
    ['frobnicate', 'unrecognized operation mode "frobnicate"; the operation modes are start', null],
    ['stop -D d more', 'too many command-line arguments (first is "more")', 'stop'],
    ['help stop more', 'too many command-line arguments (first is "more")', 'stop'],
    ['stop --timout 3', 'unrecognized option --timout; did you mean --timeout?', 'stop'],
    ['stop --timout=3', 'unrecognized option --timout; did you mean --timeout?', 'stop'],
    ['stop --xyzzyx', 'unrecognized option --xyzzyx; the options are --mode', 'stop'],
    ['stop -x', 'unrecognized option -x; the options are --mode', 'stop'],
    ['stop -sx', 'unrecognized option -x; the options are --mode', 'stop'],
    ['--slient stop', 'unrecognized option --slient; did you mean --silent?', 'stop'],
    ['--slient', 'unrecognized option --slient; did you mean --silent?', null],
    ['status -D d -m fast', '"bgworker status" has no option -m', 'status'],
    ['status -D d --wait', '"bgworker status" has no option --wait', 'status'],
    ['reload -D d -t 3', '"bgworker reload" has no option -t', 'reload'],
    ['stop -D d -c f', '"bgworker stop" has no option -c', 'stop'],
    ['start -D d --mode=fast', '"bgworker start" has no option --mode', 'start'],
    ['stop -D d --silent=yes', 'option --silent takes no value, got "yes"', 'stop'],
    ['stop -D -s', 'option -D requires a value, and "-s" looks like an option', 'stop'],
    ['stop -D d -t -5', 'option -t requires a value, and "-5" looks like an option', 'stop'],
    ['stop -D d --timeout=-5', 'from 1 to 86400, got "-5"', 'stop'],
    ['stop -D d -m rapid', 'unrecognized shutdown mode "rapid"; the modes are smart', 'stop'],
    ['stop -D d -m fats', 'unrecognized shutdown mode "fats"; did you mean "fast"?', 'stop'],
    ['stop -D d -m FAST', 'unrecognized shutdown mode "FAST"; did you mean "fast"?', 'stop'],
    ['start --foreground -l f', 'option --log is for a start in the background', 'start'],
    ...['0', '86401', '1.5', '1e3', 'soon', '0x10', '99999999999999999999'].map(
      (value): [string, string, string] => [
        `stop -D d --timeout=${value}`,
        `from 1 to 86400, got "${value}"`,
        'stop',
      ],
    ),
    ['terminate -D d', 'too few command-line arguments: WORKER is missing', 'terminate'],
    ['terminate -D d a b', 'too many command-line arguments (first is "b")', 'terminate'],
    ['ps -D d w', 'too many command-line arguments (first is "w")', 'ps'],
    ['ps -D d -- w', 'too many command-line arguments (first is "w")', 'ps'],
    ['ps -D d -t 5', '"bgworker ps" has no option -t', 'ps'],
    ['launch -D d', 'name what to run: a module, or, behind --, a program', 'launch'],
    ['launch -D d --', 'name what to run: a module, or, behind --, a program', 'launch'],
    ['launch -D d m -- p', 'name what to run: a module, or, behind --, a program', 'launch'],
    ['launch -D d m n', 'too many command-line arguments (first is "n")', 'launch'],
    ['launch -D d --restart-time=-1 m', 'whole number of seconds, got "-1"', 'launch'],
    ['launch -D d --restart-time soon m', 'whole number of seconds, got "soon"', 'launch'],
    ['launch -D d --nmae n m', 'unrecognized option --nmae; did you mean --name?', 'launch'],
    ['stop -D d --name n', '"bgworker stop" has no option --name', 'stop'],
    ...(['stop', 'reload', 'status', 'ps'] as const).map((command): [string, string, string] => [
      command,
      'no data directory specified and environment variable BGWORKER_DATA unset',
      command,
    ]),
    ...takingValues().flatMap(([option, command]): [string, string, string][] => [
      [`${command} --${option}`, `option --${option} requires a value: --${option} `, command],
      [`${command} --${option}=`, `option --${option} requires a value: --${option} `, command],
    ]),
  ];
  test.each(table)('%s', (line, sentence, command) => {
    const error = errorOf(() => parseArguments(words(line), {}));
    expect(error).toBeInstanceOf(UsageError);
    expect(error.message).toContain(sentence);
    expect(error.message).not.toContain('\n');
    expect((error as UsageError).command).toBe(command);
  });

  test('are told where the help is', () => {
    expect(seeHelp(null)).toBe('Try "bgworker --help" for more information.');
    expect(seeHelp('stop')).toBe('Try "bgworker stop --help" for more information.');
  });
});

test('each mode has a first letter of its own, and each option its own letter', () => {
  expect(new Set(STOP_MODES.map((mode) => mode[0])).size).toBe(STOP_MODES.length);
  const letters = Object.values<OptionForm>(OPTIONS).flatMap(({ short }) => short ?? []);
  expect(new Set(letters).size).toBe(letters.length);
});

/** Each option that takes a value, with a command that has it. */
function takingValues(): [OptionName, string][] {
  const names = Object.keys(OPTIONS) as OptionName[];
  return names
    .filter((name) => OPTIONS[name].value !== null)
    .map((name) => {
      const command = COMMAND_NAMES.find((one) =>
        (COMMANDS[one] as Command).options.includes(name),
      );
      return [name, command ?? ''];
    });
}

function errorOf(act: () => unknown): Error {
  try {
    act();
  } catch (error) {
    return error as Error;
  }
  throw new Error('it was accepted');
}
