// What postmaster.sharedMemory() makes of what lies in memory, and what text it lets through.

import { closeSync } from 'node:fs';
import { expect, onTestFinished, test } from 'vitest';
import { memoryInfoOf } from '../../lib/memory-info.ts';
import { native } from '../../lib/native.ts';
import { safeText } from '../../lib/safe-text.ts';

const SLOTS = 4;

/** A main area, and one process that is attached to it: this one. */
function attachedArea() {
  const area = native.MainArea.create(SLOTS, 4096, 1 << 24);
  const [death, ours] = native.pipe();
  const attachment = new native.Attachment(area, native.makeDoorbells(SLOTS), 1, death);
  onTestFinished(() => {
    attachment.end();
    area.close();
    closeSync(ours);
    closeSync(death);
  });
  return { area, attachment };
}

const texts: [what: string, text: string, shown: string][] = [
  ['letters', 'hits of Zoë, 点击', 'hits of Zoë, 点击'],
  ['a character of two halves', '🐘', '🐘'],
  ['half a character', '\u{d83d}x', '\u{fffd}x'],
  ['a NUL and what follows it', 'a\0b', 'a\u{fffd}b'],
  ['an escape sequence', '\u{1b}[2J', '\u{fffd}[2J'],
  ['the ends of lines', 'a\nb\r\u{2028}\u{2029}', 'a\u{fffd}b\u{fffd}\u{fffd}\u{fffd}'],
  ['control characters of the second kind', '\u{7f}\u{9b}', '\u{fffd}\u{fffd}'],
  ['the other direction', 'a\u{202e}b\u{2066}', 'a\u{fffd}b\u{fffd}'],
  ['characters of nobody', '\u{e000}\u{378}\u{ffff}', '\u{fffd}\u{fffd}\u{fffd}'],
];
test.each(texts)('%s', (_what, text, shown) => {
  expect(safeText(text)).toBe(shown);
});

test('names are made safe; what is anonymous or free has none of its own', () => {
  const row = { bytes: 64, allocatedBytes: 64 };
  const info = memoryInfoOf({
    allocations: [
      { ...row, kind: 'fixed', name: 'header', offset: 0 },
      { ...row, kind: 'struct', name: 'a\nb', offset: 64 },
      { ...row, kind: 'anonymous', name: '', offset: null },
      { ...row, kind: 'free', name: '', offset: 128 },
    ],
    segments: [],
    names: [{ name: 'c\u{1b}d', kind: 'hash', bytes: null }],
  });
  expect(info.allocations.map(({ name }) => name)).toEqual([
    'header',
    'a\u{fffd}b',
    '<anonymous>',
    null,
  ]);
  expect(info.names).toEqual([{ name: 'c\u{fffd}d', kind: 'hash', bytes: null }]);
});

test('what a process has made is there, with its sizes', () => {
  const { area, attachment } = attachedArea();
  const { claim, offset } = attachment.claimStruct('hits', 100);
  attachment.publishStruct(claim ?? -1);
  const { handle } = attachment.createSegment(5000);
  attachment.pinSegment(handle);
  const named = attachment.claimNamed('cache', 70_000);
  attachment.publishNamed(named.claim ?? -1);
  const half = attachment.claimNamed('half', 8);
  const { allocations, segments, names } = memoryInfoOf(area.inventory());

  const found = allocations.find(({ name }) => name === 'hits');
  expect(found).toEqual({ kind: 'struct', name: 'hits', offset, bytes: 100, allocatedBytes: 128 });
  expect(allocations.filter(({ kind }) => kind === 'fixed').map(({ name }) => name)).toEqual([
    'header',
    'slots',
    'process table',
    'activity table',
    'directory',
    'segment table',
    'registry',
  ]);
  expect(allocations.reduce((sum, row) => sum + row.allocatedBytes, 0)).toBe(area.bytes);
  expect(segments.slice(0, 2)).toEqual([
    { handle, bytes: 5000, allocatedBytes: 8192, pinned: true },
    { handle: named.handle, bytes: 70_000, allocatedBytes: 73_728, pinned: true },
  ]);
  expect(names).toEqual([
    { name: 'cache', kind: 'segment', bytes: 70_000 },
    { name: 'half', kind: 'segment', bytes: null },
  ]);
  attachment.abandonNamed(half.claim ?? -1);
});

test('a name that is no text is shown as far as it is one', () => {
  const { area, attachment } = attachedArea();
  const { claim, offset } = attachment.claimStruct('hits', 100);
  attachment.publishStruct(claim ?? -1);
  const memory = Buffer.from(attachment.fixed);
  // Over its NUL and further; the entry comes right before the first structure's space begins.
  const name = memory.indexOf('hits', 0, 'latin1');
  memory.fill(0xff, name + 4, name + 64);
  const [shown] = memoryInfoOf(area.inventory()).allocations.filter((row) => row.offset === offset);
  expect(shown?.name).toBe(`hits${'\u{fffd}'.repeat(59)}`);
});

test('a closed area has nothing to show', () => {
  const area = native.MainArea.create(SLOTS);
  area.close();
  expect(() => area.inventory()).toThrow('this main area is closed');
});
