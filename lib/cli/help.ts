// help.ts: what --help prints, made from the tables of commands and options.

import { COMMAND_NAMES, COMMANDS, type Command, type CommandName } from './commands.ts';
import * as messages from './messages.ts';
import { COMMON_OPTIONS, type OptionName, spelled } from './options.ts';

export function generalHelp(): string {
  return [
    messages.summary,
    '',
    'Usage:',
    ...COMMAND_NAMES.map(usage),
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
    `Usage:\n${usage(name)}`,
    `Options:\n${optionLines(options).join('\n')}`,
  ];
  if (options.includes('mode')) chapters.push(messages.modesHelp);
  if (options.includes('config')) chapters.push(messages.configHelp);
  if (name === 'launch') chapters.push(messages.launchHelp);
  if (name === 'terminate') chapters.push(messages.terminateHelp);
  return chapters.join('\n\n');
}

const LINE_MAX = 100;
const NAME_COLUMN = Math.max(...COMMAND_NAMES.map((name) => name.length));

/** One line, or more, the words below each other. */
function usage(name: CommandName): string {
  const { options, operands }: Command = COMMANDS[name];
  const shown = options.filter((option) => option !== 'help' && option !== 'version');
  const words = [...shown.map((option) => `[${shortest(option)}]`), operands?.usage ?? ''];
  const lines = [`  bgworker ${name.padEnd(NAME_COLUMN)}`];
  const indent = ' '.repeat(lines[0]?.length ?? 0);
  for (const word of words) {
    const longer = `${lines.at(-1)} ${word}`;
    if (longer.length <= LINE_MAX) lines[lines.length - 1] = longer;
    else lines.push(`${indent} ${word}`);
  }
  return lines.map((line) => line.trimEnd()).join('\n');
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
