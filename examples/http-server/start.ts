// start.ts: the program of the HTTP server.
//
//     node dist-programs/examples/http-server/start.js [--port PORT]
//     curl http://localhost:8000/
//
// Ctrl-C is a fast shutdown; SIGTERM a smart one, which waits for the last client.

import { mkdtempSync } from 'node:fs';
import { rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { Postmaster } from 'bgworker';

const directory = mkdtempSync(join(tmpdir(), 'bgworker-http-server-'));
try {
  process.exitCode = await run();
} catch (error) {
  process.stderr.write(`http-server: ${(error as Error).message}\n`);
  process.exitCode = 1;
} finally {
  await rm(directory, { recursive: true });
}

async function run(): Promise<number> {
  const { values } = parseArgs({ options: { port: { type: 'string', default: '8000' } } });
  const postmaster = new Postmaster({
    dataDirectory: join(directory, 'data'),
    preload: [new URL('./server.js', import.meta.url)],
    listen: [{ port: Number(values.port) }],
    maxConnections: 50,
    spareBackends: 4, // a request then meets a process that is there already
    handleSignals: true,
  });
  await postmaster.start();
  for (const address of postmaster.addresses()) {
    const where = 'path' in address ? address.path : `${address.host} ${address.port}`;
    process.stdout.write(`listening on ${where}\n`);
  }
  return postmaster.finished;
}
