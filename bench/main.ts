// main.ts: the benchmark: runs the groups, prints a table for people and writes JSON for programs.
//
// Ratios are of one run on one machine; the figures of two machines say nothing about each other.
// Exit status: 0 measured (whether or not the targets are met), 1 failed, 2 wrong arguments,
// 130 after Ctrl-C and 143 after SIGTERM. Nothing is left behind in any case.

import { appendFileSync, writeFileSync } from 'node:fs';
import { availableParallelism, constants, cpus, release } from 'node:os';
import { type Arguments, parseArguments, usage } from './arguments.ts';
import { GROUPS } from './groups.ts';
import type { Figure } from './support/figure.ts';
import { table } from './support/table.ts';

function argumentsOrExit(): Arguments {
  try {
    return parseArguments(process.argv.slice(2), GROUPS);
  } catch (error) {
    console.error(`bench: ${(error as Error).message}\n\n${usage(GROUPS)}`);
    process.exit(2);
  }
}

/** What the figures depend on besides the program. */
function machine(): string {
  const model = cpus()[0]?.model ?? 'unknown processor';
  return `node ${process.version}, Linux ${release()}, ${availableParallelism()} cores, ${model}`;
}

/** Ctrl-C ends the run in order; a second one, or one more signal, is not listened to. */
function abortOnSignals(): AbortSignal {
  const controller = new AbortController();
  for (const name of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) {
    process.on(name, () => {
      process.exitCode = 128 + constants.signals[name];
      controller.abort(new Error(`ended by ${name}`));
    });
  }
  return controller.signal;
}

async function measure({ groups, rounds, json }: Arguments, signal: AbortSignal): Promise<void> {
  // Before the minutes that it takes, not after them: can it be written at all?
  if (json !== null) appendFileSync(json, '');
  console.log(machine());
  const all: Figure[] = [];
  for (const group of groups) {
    signal.throwIfAborted();
    const figures = await group.run({ rounds, signal });
    console.log(`\n${table(group.name, figures)}`);
    all.push(...figures);
  }
  if (json === null) return;
  const flat = Object.fromEntries(all.map(({ key, value }) => [key, value]));
  writeFileSync(json, `${JSON.stringify(flat, null, 2)}\n`);
}

const given = argumentsOrExit();
if (given.help) {
  console.log(usage(GROUPS));
} else {
  const signal = abortOnSignals();
  try {
    await measure(given, signal);
  } catch (error) {
    process.exitCode ??= 1;
    console.error(signal.aborted ? `bench: ${(error as Error).message}` : error);
  }
  process.exit();
}
