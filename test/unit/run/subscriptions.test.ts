// LISTEN and NOTIFY: who is called, what the server is told, and that the latch comes last.

import { EventEmitter } from 'node:events';
import type { Client } from 'pg';
import { describe, expect, test } from 'vitest';
import { PrivateLatch } from '../../../lib/run/latch.ts';
import { Subscriptions } from '../../../lib/run/subscriptions.ts';

class Stub extends EventEmitter {
  readonly sent: string[] = [];
  refuses = false;

  escapeIdentifier(name: string): string {
    return `"${name.replaceAll('"', '""')}"`;
  }

  async query(sql: string): Promise<void> {
    this.sent.push(sql);
    if (this.refuses) throw Object.assign(new Error('in recovery'), { code: '25006' });
  }

  notify(channel: string, payload?: string): void {
    this.emit('notification', { channel, payload, processId: 1 });
  }
}

function stage() {
  const client = new Stub();
  const latch = new PrivateLatch();
  const subscriptions = new Subscriptions(client as unknown as Client, latch);
  return { client, latch, subscriptions };
}

test('a notification calls the handlers of its channel, then sets the latch', async () => {
  const { client, latch, subscriptions } = stage();
  const heard: string[] = [];
  const hear = (who: string) => (payload: string) => {
    expect(latch.isSet).toBe(false);
    heard.push(`${who}: ${payload}`);
  };
  await subscriptions.add('jobs', hear('one'));
  await subscriptions.add('jobs', hear('two'));
  await subscriptions.add('other', hear('three'));
  client.notify('jobs', '42');
  expect(heard).toEqual(['one: 42', 'two: 42']);
  expect(latch.isSet).toBe(true);
  latch.reset();
  client.notify('jobs');
  expect(heard.slice(2)).toEqual(['one: ', 'two: ']);
});

test('a handler that throws does not keep the latch from being set', async () => {
  const { client, latch, subscriptions } = stage();
  await subscriptions.add('jobs', () => {
    throw new Error('mine');
  });
  expect(() => client.notify('jobs')).toThrow('mine');
  expect(latch.isSet).toBe(true);
});

test('without a handler it is the latch alone', async () => {
  const { client, latch, subscriptions } = stage();
  await subscriptions.add('jobs');
  client.notify('jobs');
  expect(latch.isSet).toBe(true);
});

test('names are quoted; the last one on a channel ends it, once', async () => {
  const { client, subscriptions } = stage();
  const handler = () => {};
  const one = await subscriptions.add('My "jobs"', handler);
  const two = await subscriptions.add('My "jobs"', handler);
  await one.unlisten();
  await one.unlisten();
  expect(client.sent).toEqual(['LISTEN "My ""jobs"""', 'LISTEN "My ""jobs"""']);
  await two[Symbol.asyncDispose]();
  expect(client.sent.slice(2)).toEqual(['UNLISTEN "My ""jobs"""']);
});

test('what the server refuses is not listened to', async () => {
  const { client, subscriptions } = stage();
  client.refuses = true;
  let heard = 0;
  const refused = subscriptions.add('jobs', () => heard++);
  await expect(refused).rejects.toMatchObject({ code: '25006' });
  client.notify('jobs');
  expect(heard).toBe(0);
});

describe('a channel', () => {
  const long = 'n'.repeat(64);
  const bad = ['', long, 'ä'.repeat(32), 'a\0b', 7, null, undefined];
  test.each(bad.map((one) => [one]))('%j is refused', async (channel) => {
    const { client, subscriptions } = stage();
    await expect(subscriptions.add(channel as string)).rejects.toMatchObject({
      code: 'ERR_INVALID_OPTION',
      message: expect.stringContaining('listen(): channel must be a name of 1 to 63 bytes'),
    });
    expect(client.sent).toEqual([]);
  });
  test('of 63 bytes is not', async () => {
    const { client, subscriptions } = stage();
    await subscriptions.add(long.slice(1));
    expect(client.sent).toHaveLength(1);
  });
});
