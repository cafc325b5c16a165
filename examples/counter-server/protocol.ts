// protocol.ts: the protocol of the counter server: one line in, one line out, as anybody can type it.
//
//     incr NAME [BY]   adds (1 by default) and answers with the new value
//     get NAME         answers with the value
//     list             answers with all counters, NAME=VALUE, in order
//     stats            answers with how many clients have been here, and how many commands
//     quit             ends the conversation
//
// Pure: a line in, a command out. An answer that begins with "error: " says what was wrong.

export type Command =
  | { readonly verb: 'incr'; readonly name: string; readonly by: bigint }
  | { readonly verb: 'get'; readonly name: string }
  | { readonly verb: 'list' | 'stats' }
  | { readonly verb: 'quit' }
  | { readonly verb: 'error'; readonly problem: string };

/** In bytes, which is what a key of the shared table has room for. */
export const NAME_MAX_BYTES = 64;
/** A line is no longer than that; a client that sends more is not one of ours. */
export const LINE_MAX_BYTES = 1_000;

export function parse(line: string): Command {
  const [verb, name, by, ...rest] = line.trim().split(/\s+/);
  if (rest.length > 0) return wrong('too many words');
  switch (verb) {
    case 'incr': {
      const problem = problemOf(name);
      if (name === undefined || problem !== null) return wrong(problem ?? 'a name is missing');
      if (by !== undefined && !/^-?\d{1,18}$/.test(by)) return wrong(`"${by}" is no number`);
      return { verb, name, by: BigInt(by ?? 1) };
    }
    case 'get': {
      const problem = problemOf(name);
      if (name === undefined || problem !== null) return wrong(problem ?? 'a name is missing');
      return by === undefined ? { verb, name } : wrong('too many words');
    }
    case 'list':
    case 'stats':
    case 'quit':
      return name === undefined ? { verb } : wrong('too many words');
    default:
      return wrong('the commands are incr NAME [BY], get NAME, list, stats and quit');
  }
}

function problemOf(name: string | undefined): string | null {
  if (name === undefined) return 'a name is missing';
  return Buffer.byteLength(name) > NAME_MAX_BYTES ? 'the name is too long' : null;
}

function wrong(problem: string): Command {
  return { verb: 'error', problem };
}
