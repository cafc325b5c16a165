// What the postmaster makes of what a process says of itself: any bytes, made fit to be shown.

import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { SharedMemory } from '../../lib/fork/shared-memory.ts';

let memory: SharedMemory;
beforeEach(() => {
  memory = new SharedMemory(2, 0);
});
afterEach(() => memory.close());

const say = (database: Uint8Array | string, activity: Uint8Array | string) =>
  memory.areaFor(0).reportActivity(1, Buffer.from(database), Buffer.from(activity));

test('before there is an area, and where nobody speaks: nothing', () => {
  expect(memory.activityOf(1)).toEqual({ database: null, activity: null });
  memory.areaFor(0);
  expect(memory.activityOf(1)).toEqual({ database: null, activity: null });
  expect(memory.takeActivity(1)).toBeNull();
});

test('in one line, and what cannot be shown is replaced', () => {
  say('a\0b', 'SELECT\n\t1;\u2028\x1b[31m\u202e');
  expect(memory.activityOf(1)).toEqual({
    database: 'a\ufffdb',
    activity: 'SELECT  1; \ufffd[31m\ufffd',
  });
  say(Buffer.from([0xff, 0x61]), Buffer.from([0xe2, 0x82]));
  expect(memory.activityOf(1)).toEqual({ database: '\ufffda', activity: '\ufffd' });
});

test('it is taken once, when the process is gone', () => {
  say('app', 'SELECT 1');
  expect(memory.takeActivity(1)).toBe('SELECT 1');
  expect(memory.activityOf(1)).toEqual({ database: null, activity: null });
});

describe('connected to', () => {
  const long = 'd'.repeat(63);
  const table: [says: string, asked: string, is: boolean][] = [
    ['app', 'app', true],
    ['app', 'App', false],
    ['app', 'ap', false],
    ['ap', 'app', false],
    ['', '', false],
    ['', 'app', false],
    // PostgreSQL cuts names off at 63 bytes.
    [`${long}x`, `${long}y`, true],
    [long, `${long}x`, true],
    [long, long.slice(1), false],
  ];
  test.each(table)('%j, asked for %j: %s', (says, asked, is) => {
    say(says, '');
    expect(memory.isConnectedTo(1, asked)).toBe(is);
    expect(memory.isConnectedTo(0, asked)).toBe(false);
  });
});
