// message-child.ts: 64-byte messages to a child by process.send(), as fast as it takes them.

import { type ChildProcess, fork } from 'node:child_process';
import { once } from 'node:events';
import { fileURLToPath } from 'node:url';

const PROGRAM = fileURLToPath(new URL('../subject/message-child.js', import.meta.url));

/** Messages per second. */
export async function processSendRate(count: number, signal: AbortSignal): Promise<number> {
  const child = fork(PROGRAM, { stdio: ['ignore', 'inherit', 'inherit', 'ipc'] });
  const exited = once(child, 'exit');
  try {
    const answer = async () => (await once(child, 'message', { signal }))[0] as unknown;
    const ready = answer();
    child.send({ count });
    await ready;
    const took = answer();
    await sendMany(child, count);
    return (count * 1000) / Number(await took);
  } finally {
    child.disconnect();
    await exited;
  }
}

const MESSAGE = 'x'.repeat(64);

/** In batches, the last of each awaited: send() has no other backpressure worth the name. */
async function sendMany(child: ChildProcess, count: number): Promise<void> {
  for (let sent = 1; sent <= count; sent++) {
    if (sent % BATCH !== 0) child.send(MESSAGE, ignore);
    else await new Promise<void>((resolve) => child.send(MESSAGE, () => resolve()));
  }
}

const BATCH = 100;
const ignore = () => {};
