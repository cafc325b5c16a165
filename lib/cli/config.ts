// config.ts: the configuration file: a module whose default export is what `new Postmaster()`
// takes, or a function that returns it. Whatever is wrong with it is one sentence with its name.

import { accessSync, constants, existsSync, readFileSync, realpathSync, statSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { pathToFileURL } from 'node:url';
import { BgworkerError } from '../errors.ts';
import { quote } from '../messages.ts';
import { checkOptions, type PostmasterOptions } from '../register/options.ts';
import { importModule, type ModuleNamespace } from '../run/import-module.ts';
import * as messages from './messages.ts';

/** In this order, in the working directory, if -c names none. */
export const CONFIG_NAMES = ['bgworker.config.ts', 'bgworker.config.js', 'bgworker.config.mjs'];

/** The absolute path of a file that is there and can be read. @throws BgworkerError ERR_CONFIG */
export function findConfig(named: string | null, directory: string = process.cwd()): string {
  const name = named ?? CONFIG_NAMES.find((one) => existsSync(join(directory, one)));
  if (name === undefined) throw failure(messages.configNotFound(directory, CONFIG_NAMES));
  const path = resolve(directory, name);
  try {
    accessSync(path, constants.R_OK);
    if (statSync(path).isDirectory()) throw new Error('it is a directory');
  } catch (error) {
    throw failure(messages.configMissing(path, (error as Error).message), error);
  }
  return path;
}

/** @param dataDirectory what counts in place of the file's own. @throws BgworkerError ERR_CONFIG */
export async function loadConfig(
  path: string,
  dataDirectory: string | null,
): Promise<PostmasterOptions> {
  const exported = await defaultExport(path);
  const given = await inFile(path, () => (typeof exported === 'function' ? exported() : exported));
  if (typeof given !== 'object' || given === null || Array.isArray(given)) {
    throw failure(messages.notOptions(path, quote(given)));
  }
  const options = { ...given, ...(dataDirectory !== null && { dataDirectory }) };
  if (!('dataDirectory' in options)) throw failure(messages.noDataDirectoryForStart);
  try {
    checkOptions(options);
  } catch (error) {
    throw failure(messages.configFailed(path, null, (error as Error).message), error);
  }
  return options as PostmasterOptions;
}

async function defaultExport(path: string): Promise<unknown> {
  const url = pathToFileURL(path).href;
  const loaded: ModuleNamespace = await inFile(path, () => importModule(url));
  if (!('default' in loaded)) {
    throw failure(messages.noDefaultExport(path, Object.keys(loaded)));
  }
  return loaded.default;
}

/** Calls code of the file's; what it throws becomes one sentence, with the line if it is in there. */
async function inFile<T>(path: string, act: () => T | Promise<T>): Promise<T> {
  try {
    return await act();
  } catch (error) {
    const { line, reason } = await explain(error, path);
    throw failure(messages.configFailed(path, line, reason), error);
  }
}

interface Explanation {
  readonly line: number | null;
  readonly reason: string;
}

async function explain(error: unknown, path: string): Promise<Explanation> {
  if (!(error instanceof Error)) return { line: null, reason: messages.threw(quote(error)) };
  const line = lineOf(error, path);
  const reason = firstLine(error.message);
  if (line !== null || !(error instanceof SyntaxError)) return { line, reason };
  // Node keeps to itself where the syntax error is that it met in an import(). Ask the other parser.
  const ownLine = await lineOfSyntaxError(path);
  if (ownLine !== null) return { line: ownLine, reason };
  const isModuleSyntax = path.endsWith('.js') && /\b(export|import)\b/.test(reason);
  const hint = isModuleSyntax ? messages.commonJsHint : messages.inAnotherModule;
  return { line, reason: `${reason} (${hint})` };
}

/** null: this file itself can be parsed. */
async function lineOfSyntaxError(path: string): Promise<number | null> {
  const { createJiti } = await import('jiti');
  const source = readFileSync(path, 'utf8');
  const code = createJiti(import.meta.url).transform({ source, filename: path, async: true });
  // What it could not parse, it turns into a line of code that says so when it is run.
  const found = /^exports\.__JITI_ERROR__ = .*"line":(\d+)/.exec(code);
  return found === null ? null : Number(found[1]);
}

/** jiti's parser puts its class in front and the place behind, on a line of its own. */
function firstLine(message: string): string {
  const [first = ''] = message.split('\n', 1);
  return first.replace(/^ParseError: /, '').trim();
}

/** A frame, and jiti's message, have "file:line:column". */
function lineOf(error: Error, path: string): number | null {
  const text = `${error.message}\n${error.stack ?? ''}`;
  for (const name of [path, realpathSync(path), pathToFileURL(path).href]) {
    const at = text.indexOf(`${name}:`);
    const line = at < 0 ? Number.NaN : Number.parseInt(text.slice(at + name.length + 1), 10);
    if (!Number.isNaN(line)) return line;
  }
  return null;
}

function failure(sentence: string, cause?: unknown): BgworkerError {
  return new BgworkerError('ERR_CONFIG', sentence, cause === undefined ? undefined : { cause });
}
