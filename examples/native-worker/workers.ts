// workers.ts: the preload module of a worker in C and one in TypeScript that exchange messages.
//
// The TypeScript worker sends texts through one queue, and gets them back in capitals through the
// other. Both queues lie in a segment that has a name; whoever comes first makes them. Each worker
// counts the texts in a structure of the main area. When the TypeScript worker is done it detaches,
// which is how the C worker knows that it is done, too.

import type { BackgroundWorker, IntegerField, PreloadServer, Segment } from 'bgworker';

interface Arg {
  readonly texts: number;
}

/** As exchange.c says: the queue to there, then the one back. */
const QUEUE_BYTES = 4096;
const THERE = { byteOffset: 0, bytes: QUEUE_BYTES };
const BACK = { byteOffset: QUEUE_BYTES, bytes: QUEUE_BYTES };

/** struct exchange of exchange.c. Bound before main() runs. */
let count: IntegerField<bigint>;

/** Called once, in the launcher, before anything runs (_PG_init). */
export function init(server: PreloadServer): void {
  const { EXCHANGE_LIBRARY: library = 'exchange.so', EXCHANGE_TEXTS: texts = '1000' } = process.env;
  const flags = ['SHMEM_ACCESS'] as const;
  ({ count } = server.shmem.struct('exchange', { count: 'u64' }));
  server.registerBackgroundWorker({
    name: 'capitals',
    flags,
    restartTime: 'never',
    native: { library, function: 'exchange_main' },
  });
  const arg: Arg = { texts: Number(texts) };
  server.registerBackgroundWorker({ name: 'talker', flags, restartTime: 'never', main: talk, arg });
}

/** Runs in a process of its own. */
async function talk(worker: BackgroundWorker, { texts }: Arg): Promise<void> {
  const segment = worker.dsm.named('exchange', 2 * QUEUE_BYTES, makeQueues);
  const there = segment.messageQueue(THERE);
  const back = segment.messageQueue(BACK).receiver;
  const encoder = new TextEncoder();
  const decoder = new TextDecoder();
  const { signal } = worker; // from here on SIGTERM ends the waits below
  for (let i = 1; i <= texts; i++) {
    const text = `text ${i}`;
    if ((await there.send(encoder.encode(text), { signal })) === 'DETACHED') break;
    const received = await back.receive({ signal });
    if (received.result === 'DETACHED') break;
    // The message lies in the ring, and is gone with the next one: what is kept is copied.
    const answer = decoder.decode(received.message);
    if (answer !== text.toUpperCase()) throw new Error(`"${text}" came back as "${answer}"`);
    count.add(1n);
  }
  worker.log.info(`the two have counted ${count.load()}`);
} // the queues are detached at the exit at the latest, which tells the other side

/** Whoever of the two comes first makes them, while the other waits. */
function makeQueues(segment: Segment): void {
  segment.messageQueue(THERE);
  segment.messageQueue(BACK);
}
