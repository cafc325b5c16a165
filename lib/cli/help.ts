// help.ts: what --help prints, made from the tables of commands and options.

import { COMMAND_NAMES, COMMANDS, type Command, type CommandName } from './commands.ts';
import * as messages from './messages.ts';
import { COMMON_OPTIONS, type OptionName, spelled } from './options.ts';

export function generalHelp(): string {
  return [
    messages.summary,
    '',
    'Usage:',
    ...COMMAND_NAMES.map((name) => `  bgworker ${usage(name)}`),
    '  bgworker help COMMAND',
    '',
    'Commands:',
    ...columns(COMMAND_NAMES.map((name) => [name, messages.summaries[name]])),
    '',
    'Common options:',
    ...optionLines(COMMON_OPTIONS),
  ].join('\n');
}

export function commandHelp(name: CommandName): string {
  const { options }: Command = COMMANDS[name];
  const chapters = [
    `bgworker ${name}: ${messages.summaries[name]}`,
    `Usage:\n  bgworker ${usage(name)}`,
    `Options:\n${optionLines(options).join('\n')}`,
  ];
  if (options.includes('mode')) chapters.push(messages.modesHelp);
  if (options.includes('config')) chapters.push(messages.configHelp);
  return chapters.join('\n\n');
}

function usage(name: CommandName): string {
  const { options }: Command = COMMANDS[name];
  const shown = options.filter((option) => option !== 'help' && option !== 'version');
  return `${name.padEnd(7)}${shown.map((option) => `[${shortest(option)}]`).join(' ')}`;
}

function shortest(name: OptionName): string {
  return spelled(name)
    .trim()
    .replace(/, --\S+/, '');
}

function optionLines(names: readonly OptionName[]): string[] {
  return columns(names.map((name) => [spelled(name), messages.explanations[name]]));
}

function columns(rows: readonly (readonly [left: string, right: string])[]): string[] {
  const width = Math.max(...rows.map(([left]) => left.length)) + 3;
  return rows.map(([left, right]) => `  ${left.padEnd(width)}${right}`);
}
