// arguments.ts: from argv to what is to be done. Pure, and everything wrong with a command line is
// found here, before anything is touched.
//
// parseArgs splits; it is not asked to judge, because its errors know no suggestion. Options may
// stand before the command, and of an option given twice the last one counts, as with getopt.

import { parseArgs } from 'node:util';
import { type LaunchSettings, type Settings, UsageError } from './command.ts';
import {
  COMMAND_NAMES,
  COMMANDS,
  type Command,
  type CommandName,
  isCommandName,
} from './commands.ts';
import * as messages from './messages.ts';
import {
  DEFAULT_TIMEOUT_S,
  OPTIONS,
  type OptionForm,
  type OptionName,
  STOP_MODES,
  type StopMode,
  TIMEOUT_MAX_S,
} from './options.ts';

export type Invocation =
  | { readonly kind: 'version' }
  | { readonly kind: 'help'; readonly command: CommandName | null }
  | { readonly kind: 'run'; readonly command: CommandName; readonly settings: Settings };

interface Given {
  readonly name: OptionName;
  /** As it was written: '-t' or '--timeout'. */
  readonly spelling: string;
  /** '' for an option that takes none. */
  readonly value: string;
}

/** @throws UsageError */
export function parseArguments(argv: readonly string[], env: NodeJS.ProcessEnv): Invocation {
  const { tokens } = parseArgs({
    args: [...argv],
    options: PARSER_OPTIONS,
    allowPositionals: true,
    strict: false,
    tokens: true,
  });
  const terminator = tokens.findIndex(({ kind }) => kind === 'option-terminator');
  const all = tokens.flatMap((token, at) =>
    token.kind === 'positional' ? [{ at, value: token.value }] : [],
  );
  const asksForHelp = all[0]?.value === 'help';
  const [first, ...behind] = asksForHelp ? all.slice(1) : all;
  const word = first?.value;
  if (word !== undefined && !isCommandName(word)) {
    throw new UsageError(messages.unknownCommand(word, COMMAND_NAMES), null);
  }
  const command = word ?? null;
  const given: Given[] = [];
  for (const token of tokens) {
    if (token.kind !== 'option') continue;
    const spelling =
      token.inlineValue && token.rawName.startsWith('--') ? `--${token.name}` : token.rawName;
    given.push(checked({ ...token, spelling }, command));
  }
  const isProgram = ({ at }: { at: number }) =>
    terminator >= 0 && at > terminator && command !== null && takesProgram(command);
  const rest = {
    operands: behind.filter((one) => !isProgram(one)).map(({ value }) => value),
    program: behind.filter(isProgram).map(({ value }) => value),
  };
  const most = asksForHelp || command === null ? 0 : operandsOf(command).most;
  const extra = rest.operands[most];
  if (extra !== undefined) throw new UsageError(messages.tooManyArguments(extra), command);

  if (given.some(({ name }) => name === 'version')) return { kind: 'version' };
  if (asksForHelp || given.some(({ name }) => name === 'help')) return { kind: 'help', command };
  if (command === null) throw new UsageError(messages.noCommand, null);
  return { kind: 'run', command, settings: settingsOf(given, command, env, rest) };
}

interface Rest {
  readonly operands: readonly string[];
  readonly program: readonly string[];
}

function operandsOf(command: CommandName): { readonly least: number; readonly most: number } {
  return (COMMANDS[command] as Command).operands ?? { least: 0, most: 0 };
}

function takesProgram(command: CommandName): boolean {
  return (COMMANDS[command] as Command).takesProgram ?? false;
}

const PARSER_OPTIONS = Object.fromEntries(
  Object.entries(OPTIONS).map(([name, { short, value }]: [string, OptionForm]) => [
    name,
    { type: value === null ? ('boolean' as const) : ('string' as const), ...(short && { short }) },
  ]),
);

function checked(
  token: {
    readonly name: string;
    readonly spelling: string;
    readonly value?: string | undefined;
    readonly inlineValue?: boolean | undefined;
  },
  command: CommandName | null,
): Given {
  const { name, spelling, value } = token;
  const known = command === null ? OPTION_NAMES : (COMMANDS[command] as Command).options;
  const refuse = (sentence: string): never => {
    throw new UsageError(sentence, command);
  };
  if (!isOptionName(name)) return refuse(messages.unknownOption(spelling, known));
  if (!known.includes(name)) return refuse(messages.optionOfOthers(spelling, command ?? ''));
  const form: OptionForm = OPTIONS[name];
  if (form.value === null) {
    if (value !== undefined) return refuse(messages.valueUnwanted(spelling, value));
    return { name, spelling, value: '' };
  }
  if (value === undefined || value === '') {
    return refuse(messages.valueMissing(spelling, form.value));
  }
  if (!token.inlineValue && value.startsWith('-')) {
    return refuse(messages.valueLooksLikeOption(spelling, name, value));
  }
  return { name, spelling, value };
}

const OPTION_NAMES = Object.keys(OPTIONS) as readonly OptionName[];

function isOptionName(name: string): name is OptionName {
  return Object.hasOwn(OPTIONS, name);
}

function settingsOf(
  given: readonly Given[],
  command: CommandName,
  env: NodeJS.ProcessEnv,
  rest: Rest,
): Settings {
  const last = (...names: OptionName[]) => given.findLast(({ name }) => names.includes(name));
  const settings: Settings = {
    dataDirectory: last('pgdata')?.value ?? (env.BGWORKER_DATA || null),
    configFile: last('config')?.value ?? null,
    logFile: last('log')?.value ?? null,
    foreground: last('foreground') !== undefined,
    mode: modeOf(last('mode')?.value ?? 'fast', command),
    silent: last('silent') !== undefined,
    timeoutMs: secondsOf(last('timeout')?.value ?? String(DEFAULT_TIMEOUT_S), command) * 1000,
    wait: last('wait', 'no-wait')?.name !== 'no-wait',
    operands: rest.operands,
    launch: command === 'launch' ? launchOf(given, rest) : null,
  };
  if (settings.foreground && settings.logFile !== null) {
    throw new UsageError(messages.logInForeground, command);
  }
  // `start` may find it in its configuration file.
  if (settings.dataDirectory === null && command !== 'start') {
    throw new UsageError(messages.noDataDirectory, command);
  }
  if (rest.operands.length < operandsOf(command).least) {
    throw new UsageError(
      messages.operandMissing((COMMANDS[command] as Command).operands?.usage ?? ''),
      command,
    );
  }
  return settings;
}

function launchOf(given: readonly Given[], { operands, program }: Rest): LaunchSettings {
  const last = (name: OptionName) => given.findLast((one) => one.name === name)?.value ?? null;
  const restartTime = last('restart-time');
  if (operands.length > 0 === program.length > 0) {
    throw new UsageError(messages.moduleOrProgram, 'launch');
  }
  return {
    program: program.length > 0 ? program : null,
    name: last('name'),
    type: last('type'),
    function: last('function'),
    arg: last('arg'),
    flags: given.filter(({ name }) => name === 'flag').map(({ value }) => value),
    restartTime: restartTime === null ? null : restartTimeOf(restartTime),
    database: last('database'),
    user: last('user'),
  };
}

/** How large it may be is the sanity check's to say. */
function restartTimeOf(word: string): number | 'never' {
  if (word === 'never') return word;
  if (/^\d+$/.test(word)) return Number(word);
  throw new UsageError(messages.badRestartTime(word), 'launch');
}

function modeOf(word: string, command: CommandName): StopMode {
  const mode = STOP_MODES.find((one) => word === one || word === one[0]);
  if (mode === undefined) throw new UsageError(messages.badMode(word, STOP_MODES), command);
  return mode;
}

function secondsOf(word: string, command: CommandName): number {
  const seconds = /^\d+$/.test(word) ? Number(word) : 0;
  if (seconds >= 1 && seconds <= TIMEOUT_MAX_S) return seconds;
  throw new UsageError(messages.badTimeout(word, TIMEOUT_MAX_S), command);
}
