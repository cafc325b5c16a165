// What is larger than a view of JavaScript's may be is refused, and nothing is left of it.

import { constants } from 'node:buffer';
import { closeSync } from 'node:fs';
import { expect, onTestFinished, test } from 'vitest';
import { type Attachment, type MainArea, native } from '../../../lib/native.ts';

/** An attached process, here. */
function attach(structBytes: number): { area: MainArea; attachment: Attachment } {
  const area = native.MainArea.create(1, structBytes);
  const [death, postmaster] = native.pipe();
  area.attach(0);
  const attachment = new native.Attachment(area, native.makeDoorbells(1), 0, death);
  onTestFinished(() => {
    attachment.end();
    area.close();
    for (const descriptor of [death, postmaster]) closeSync(descriptor);
  });
  return { area, attachment };
}

function codeOf(act: () => unknown): string | null {
  try {
    act();
    return null;
  } catch (error) {
    return (error as NodeJS.ErrnoException).code ?? String(error);
  }
}

/** 4 GiB is the end in Node 20; later ones have room for it. */
const BYTES = 5 * 2 ** 30;
const expected = BYTES > constants.MAX_LENGTH ? 'ERR_SHMEM_SIZE_TOO_LARGE' : null;

test('a segment that no ArrayBuffer can show', () => {
  const { attachment } = attach(0);
  expect(codeOf(() => attachment.createSegment(BYTES))).toBe(expected);
  if (expected !== null) expect(attachment.listSegments()).toEqual([]);
});

test('the same by name: whoever asks next is the creator', () => {
  const { attachment } = attach(0);
  const claim = () => {
    const { claim: number } = attachment.claimNamed('large', BYTES);
    if (number !== undefined) attachment.publishNamed(number);
  };
  expect([codeOf(claim), codeOf(claim)]).toEqual([expected, expected]);
});

test('the largest main area that can be asked for can be shown', () => {
  const { attachment } = attach(3 * 2 ** 30);
  const { offset, claim } = attachment.claimStruct('all of it', 3 * 2 ** 30);
  // Else it is made zero again, at the cost of all its memory.
  attachment.publishStruct(claim ?? -1);
  expect(new Uint8Array(attachment.fixed, offset + 3 * 2 ** 30 - 1, 1)[0]).toBe(0);
  expect(() => native.MainArea.create(1, 3 * 2 ** 30 + 1)).toThrow(/structBytes/);
});
