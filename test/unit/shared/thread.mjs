// thread.mjs: a thread that loads TypeScript and calls one function of bodies.ts.
import { parentPort, workerData } from 'node:worker_threads';
import { createJiti } from 'jiti';

// Without a cache on disk: node_modules may belong to somebody else.
const jiti = createJiti(import.meta.url, { fsCache: false });
const bodies = await jiti.import('./bodies.ts');
parentPort.postMessage({ result: await bodies[workerData.body](...workerData.args) });
