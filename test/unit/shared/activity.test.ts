// What a process says of itself: whose words come first, and that nothing is cut in a character.

import { expect, test } from 'vitest';
import { Activity } from '../../../lib/shared/activity.ts';

function stage() {
  const said: string[] = [];
  const activity = new Activity((database, text) => {
    said.push(`${Buffer.from(database)}|${Buffer.from(text)}`);
  });
  return { activity, said, last: () => said.at(-1) };
}

test('first of all it says nothing, whoever had the slot before', () => {
  expect(stage().said).toEqual(['|']);
});

test('its own words come before the statement that runs', () => {
  const { activity, last } = stage();
  activity.statement = 'SELECT 1';
  expect(last()).toBe('|SELECT 1');
  activity.own = 'summing';
  expect([last(), activity.own]).toEqual(['|summing', 'summing']);
  activity.statement = 'SELECT 2';
  expect(last()).toBe('|summing');
  activity.own = null;
  expect(last()).toBe('|SELECT 2');
  activity.statement = null;
  expect(last()).toBe('|');
});

test('the database stands beside them, until it is gone', () => {
  const { activity, last } = stage();
  activity.database = 'app';
  activity.statement = 'SELECT 1';
  expect(last()).toBe('app|SELECT 1');
  activity.database = 'a';
  expect(last()).toBe('a|SELECT 1');
  activity.database = null;
  expect(last()).toBe('|SELECT 1');
});

test('what says nothing new is not said', () => {
  const { activity, said } = stage();
  activity.statement = 'SELECT 1';
  activity.statement = 'SELECT 1';
  activity.own = 'mine';
  activity.statement = 'SELECT 2';
  expect(said).toHaveLength(3);
});

test('what is too long ends with a whole character', () => {
  const { activity, last } = stage();
  activity.own = `${'x'.repeat(943)}ä`;
  expect(last()).toBe(`|${'x'.repeat(943)}`);
  activity.own = `${'x'.repeat(942)}äy`;
  expect(last()).toBe(`|${'x'.repeat(942)}ä`);
  activity.own = null;
  activity.database = `${'d'.repeat(63)}ä`;
  expect(last()).toBe(`${'d'.repeat(63)}|`);
});
