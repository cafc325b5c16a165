// follow() against a server of our own making: an old one, one that lets us in and out, and one that
// does not say when it was started.

import { afterEach, expect, test, vi } from 'vitest';
import { type Follower, follow } from '../../lib/postgres/follow.ts';
import { type Behaviour, FakeServer } from '../fixtures/libpq/fake-server.ts';

type Changeable = { -readonly [K in keyof Behaviour]: Behaviour[K] };

const stack: (() => Promise<void>)[] = [];
afterEach(async () => {
  for (const undo of stack.splice(0).reverse()) await undo();
});

async function stage(behaviour: Changeable = {}) {
  const server = await FakeServer.start(behaviour);
  stack.push(() => server[Symbol.asyncDispose]());
  const said: string[] = [];
  const waiters = new Set<() => void>();
  const say = (word: string) => {
    said.push(word);
    for (const look of waiters) look();
  };
  const follower: Follower = follow({
    conninfo: `host=127.0.0.1 port=${server.port} user=me sslmode=disable`,
    onConnected: (_server, _where, instead) => say(instead === null ? 'connected' : 'again'),
    onState: (state) => say(state),
    onRefused: (error) => say(error.message),
  });
  stack.push(() => follower.close());
  const until = (word: string, times = 1) =>
    new Promise<void>((resolve) => {
      const look = () => {
        if (said.filter((one) => one === word).length < times) return;
        waiters.delete(look);
        resolve();
      };
      waiters.add(look);
      look();
    });
  return { server, said, until, follower };
}

test('before PostgreSQL 14 a standby is asked by a statement', async () => {
  const behaviour: Changeable = { inRecovery: true };
  const { said, until } = await stage(behaviour);
  await until('standby');
  behaviour.inRecovery = false;
  await until('primary');
  expect(said).toEqual(['connected', 'standby', 'primary']);
});

test('who is let in and out again is told so each time, and does not hurry', async () => {
  const pauses = vi.spyOn(globalThis, 'setTimeout');
  const { server, said, until } = await stage();
  await until('primary');
  pauses.mockClear();
  for (let times = 1; times <= 4; times++) {
    server.hangUp();
    await until('primary', times + 1);
  }
  const delays = pauses.mock.calls.map(([, delay]) => delay);
  expect(delays.filter((delay) => [20, 40, 80, 160].includes(delay ?? 0))).toEqual([
    20, 40, 80, 160,
  ]);
  pauses.mockRestore();
  expect(said.slice(0, 6)).toEqual([
    ...['connected', 'primary', 'unreachable', 'connected', 'primary', 'unreachable'],
  ]);
});

test('a standby that is looked at for long leaves nothing behind', async () => {
  const { server, until, follower } = await stage({ inRecovery: true });
  await until('standby');
  await server.answered(4);
  await follower.close();
  await server.deserted();
});
