// server.ts: the preload module of the counter server: each client has a process of its own, and all
// of them count in the same shared memory.

import type { Socket } from 'node:net';
import { createInterface } from 'node:readline';
import type { Backend, HashTable, PreloadServer, Struct } from 'bgworker';
import { type Command, LINE_MAX_BYTES, NAME_MAX_BYTES, parse } from './protocol.ts';

const VALUE_BYTES = 8;

/** How busy it has been: two numbers that every process adds to, without a lock. */
let stats: Struct<{ clients: 'u64'; commands: 'u64' }>;

export function init(server: PreloadServer): void {
  stats = server.shmem.struct('stats', { clients: 'u64', commands: 'u64' });
  server.registerBackend(serve, {
    // A crash of one backend then throws all counters away, because nobody can trust them any more.
    flags: ['SHMEM_ACCESS'],
    refusals: {
      startingUp: 'error: starting up, try again\n',
      inRecovery: 'error: recovering from a crash, try again\n',
      shuttingDown: 'error: shutting down\n',
      tooMany: 'error: too many clients\n',
      cannotFork: 'error: no process to spare, try again\n',
    },
  });
}

/** Its return is the end of the conversation. */
async function serve(connection: Socket, backend: Backend): Promise<void> {
  const counters = backend.dsm.hash('counters', {
    maxKeyBytes: NAME_MAX_BYTES,
    maxValueBytes: VALUE_BYTES,
  });
  stats.clients.add(1n);
  limitLines(connection);
  const lines = createInterface({ input: connection });
  const { signal } = backend; // aborted by SIGTERM, which is a fast shutdown
  signal.addEventListener('abort', () => lines.close());
  for await (const line of lines) {
    stats.commands.add(1n);
    const command = parse(line);
    if (command.verb === 'quit') return;
    connection.write(`${answer(command, counters)}\n`);
  }
  if (signal.aborted) connection.write('error: shutting down\n');
}

function answer(command: Exclude<Command, { verb: 'quit' }>, counters: HashTable): string {
  switch (command.verb) {
    case 'incr': {
      let value = 0n;
      counters.update(command.name, (old) => {
        value = BigInt.asIntN(64, (old?.readBigInt64LE() ?? 0n) + command.by);
        return bytesOf(value);
      });
      return String(value);
    }
    case 'get':
      return String(counters.find(command.name)?.readBigInt64LE() ?? 0n);
    case 'list':
      return counters
        .entries()
        .map(([name, value]) => `${name}=${value.readBigInt64LE()}`)
        .sort()
        .join(' ');
    case 'stats':
      return `clients=${stats.clients.load()} commands=${stats.commands.load()}`;
    case 'error':
      return `error: ${command.problem}`;
  }
}

function bytesOf(value: bigint): Buffer {
  const bytes = Buffer.alloc(VALUE_BYTES);
  bytes.writeBigInt64LE(value);
  return bytes;
}

/** One that sends no end of a line would fill this process's memory, though nobody else's. */
function limitLines(connection: Socket): void {
  let length = 0;
  connection.on('data', (bytes: Buffer) => {
    const end = bytes.lastIndexOf(10);
    length = end < 0 ? length + bytes.length : bytes.length - end - 1;
    if (length > LINE_MAX_BYTES) connection.destroy(new Error('a line without an end'));
  });
}
