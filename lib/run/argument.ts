// argument.ts: the argument of a dynamic worker, read where it is used: in the worker. What it
// fails with is the worker's failure, and nobody else's.

import { closeSync, fstatSync, readSync } from 'node:fs';
import { deserialize } from 'node:v8';
import type { TravellingArgument } from '../travel/notes.ts';

/** `descriptor`: of the memory file, if it is one; closed here. */
export function readArgument(
  argument: TravellingArgument | null,
  descriptor: number | null,
): unknown {
  if (argument === null) return undefined;
  if (argument.kind === 'inline') return deserialize(Buffer.from(argument.base64, 'base64'));
  if (descriptor === null) throw new Error('the argument is a file, and there is none');
  try {
    return deserialize(readAll(descriptor));
  } finally {
    closeSync(descriptor);
  }
}

/** By place: the file is shared with whoever is started with it next, and so is its position. */
function readAll(descriptor: number): Buffer {
  const bytes = Buffer.allocUnsafeSlow(fstatSync(descriptor).size);
  for (let done = 0; done < bytes.length; ) {
    const count = readSync(descriptor, bytes, done, bytes.length - done, done);
    if (count === 0) throw new Error(`the argument ends after ${done} bytes`);
    done += count;
  }
  return bytes;
}
