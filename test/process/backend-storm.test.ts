// Many clients: those that vanish at every moment leave nothing, and a thousand leave no descriptor.

import { connect, type Socket } from 'node:net';
import { describe, expect, test, vi } from 'vitest';
import type { ListenAddress } from '../../lib/index.ts';
import { TestClient } from '../harness/client.ts';
import { childrenOf, descriptorsOf, marked } from '../harness/leftovers.ts';
import { type PostmasterProgram, type Setting, startPostmaster } from '../harness/postmaster.ts';

vi.setConfig({ testTimeout: 120_000 });

const TCP = [{ host: '127.0.0.1', port: 0, backlog: 1_000 }] as const;

function serve(setting: Partial<Setting> = {}): Promise<PostmasterProgram> {
  const serving = { role: 'greet' };
  return startPostmaster({ listen: TCP, serving, log: { level: 'info' }, ...setting });
}

/** Connects, and is gone before, while or after its backend is forked; or is served to the end. */
function storm(address: ListenAddress, index: number): Promise<string> {
  const socket = connect({ ...(address as { host: string; port: number }) });
  const leave = (how: (socket: Socket) => void) => how(socket);
  socket.on('error', () => {});
  switch (index % 9) {
    case 0: // As soon as the kernel has it: the postmaster may not have accepted it yet.
      socket.once('connect', () => leave((one) => one.resetAndDestroy()));
      break;
    case 3: // A turn of the loop later: its backend may be under way.
      socket.once('connect', () => setImmediate(() => leave((one) => one.destroy())));
      break;
    case 6: // As soon as it is served.
      socket.once('data', () => leave((one) => one.resetAndDestroy()));
      break;
    default:
      socket.end('bye\n');
  }
  let text = '';
  socket.on('data', (bytes) => {
    text += bytes.toString();
  });
  return new Promise((resolve) => socket.once('close', () => resolve(text)));
}

describe.each([
  ['forked when they come', 0],
  ['some forked ahead', 8],
])('500 at once, of which a third vanish: %s', (_what, spareBackends) => {
  test('none is left, and the next is served', async () => {
    const postmaster = await serve({ maxConnections: 500, spareBackends });
    const address = await postmaster.address();
    const all = await Promise.all(Array.from({ length: 500 }, (_, index) => storm(address, index)));
    const stayed = all.filter((_, index) => index % 3 !== 0);
    expect(stayed.filter((text) => text !== 'hello\nbye\n')).toEqual([]);
    // Everybody who was given a backend has left it again, in order.
    const after = postmaster.mark();
    await new TestClient(address).say('bye\n').hears('bye');
    await postmaster.until('connect', undefined, { after });
    const { length: count } = postmaster.all('connect');
    await postmaster.count('disconnect', count - 1, undefined, { withinMs: 60_000 });
    expect(postmaster.all('disconnect').filter(({ how }) => how !== 'code 0')).toEqual([]);
    const left = (await postmaster.backends()).filter(({ peer }) => peer !== null);
    expect(left).toHaveLength(1);
    expect(postmaster.all('refuse')).toEqual([]);
    expect(childrenOf(postmaster.launcherPid).length).toBe(1 + spareBackends);
    await postmaster.stop();
    expect(marked(postmaster.id)).toEqual([]);
  });
});

test('a thousand connections, and each descriptor of postmaster and launcher is where it was', async () => {
  const postmaster = await serve({ maxConnections: 20 });
  const address = await postmaster.address();
  const round = async (count: number) => {
    const { length: before } = postmaster.all('disconnect');
    const texts = await Promise.all(
      Array.from({ length: count }, () => new TestClient(address).say('x').leaves()),
    );
    expect(new Set(texts)).toEqual(new Set(['hello\nx']));
    await postmaster.count('disconnect', before + count);
  };
  await round(20);
  await postmaster.backends(); // A turn of its loop: what it has heard of meanwhile is closed.
  const counted = () =>
    [postmaster.pid, postmaster.launcherPid].map((pid) => descriptorsOf(pid).length);
  const before = counted();
  for (let i = 0; i < 50; i++) await round(20);
  await postmaster.backends();
  expect(counted()).toEqual(before);
  await postmaster.stop();
});
