// The process that runs the start-up hooks has slot 0 of shared memory, and a worker without shared
// memory may have slot 0 of the postmaster's: what one does must not be taken for the other's.

import { expect, test } from 'vitest';
import { moduleFile, PostmasterProgram } from '../harness/postmaster.ts';

const MODULE = `
import { writeSync } from 'node:fs';
const say = (name, text) =>
  writeSync(1, JSON.stringify({ kind: 'say', name, pid: process.pid, text }) + '\\n');
const stay = async (worker) => {
  say(worker.name, 'here');
  await new Promise(() => setInterval(() => {}, 1 << 30));
};
export function init(server) {
  server.shmem.onStartup(async () => {
    const told = new Promise((resolve) => process.once('SIGUSR2', resolve));
    say('hook', 'runs');
    await told;
  });
  server.registerBackgroundWorker({ name: 'apart', restartTime: 'never', main: stay });
  server.registerBackgroundWorker({
    name: 'attached', flags: ['SHMEM_ACCESS'], restartTime: 3600, main: stay,
  });
}
`;

test('who was never attached leaves no switch behind, whoever has its slot', async () => {
  const postmaster = new PostmasterProgram({ preload: [moduleFile(MODULE)] });
  process.kill((await postmaster.heard('hook', 'runs')).pid, 'SIGUSR2');
  await postmaster.heard('attached', 'here');
  await postmaster.heard('apart', 'here');

  const after = postmaster.mark();
  process.kill(postmaster.pidOf('attached'), 'SIGKILL');
  const hook = await postmaster.heard('hook', 'runs', { after });
  process.kill(postmaster.pidOf('apart'), 'SIGKILL');
  expect(await postmaster.exitOf('apart')).toMatchObject({ how: 'SIGKILL', cleanDetach: true });
  process.kill(hook.pid, 'SIGUSR2');
  await postmaster.heard('attached', 'here', { after });
  await postmaster.stop();
});
