// The frames of the control socket: whatever the pieces in which they come, they are the same frames;
// and what is none is known as such before anything is kept of it.

import { describe, expect, test } from 'vitest';
import {
  BODY_MAX_BYTES,
  encodeHead,
  FrameReader,
  HEADER_MAX_BYTES,
  type Piece,
  PREFIX_BYTES,
} from '../../../lib/travel/frames.ts';

interface Frame {
  readonly header: string;
  readonly body: string;
}

const FRAMES: readonly Frame[] = [
  { header: '{"do":"workers","id":1}', body: '' },
  { header: '{}', body: 'x' },
  { header: '{"é":"\u{1f600}"}', body: 'y'.repeat(1000) },
  { header: '{"id":2}', body: '' },
];

function bytesOf({ header, body }: Frame): Buffer {
  const head = encodeHead(JSON.parse(header) as object, Buffer.byteLength(body));
  return Buffer.concat([head, Buffer.from(body)]);
}

/** All that the reader gives now, the pieces of a body put together. */
function read(reader: FrameReader): { frames: Frame[]; pieces: Piece[] } {
  const pieces: Piece[] = [];
  for (let piece = reader.next(); piece !== null; piece = reader.next()) {
    pieces.push(piece);
    if (piece.kind === 'garbage') break;
  }
  return { frames: framesOf(pieces), pieces };
}

function framesOf(pieces: readonly Piece[]): Frame[] {
  const frames: Frame[] = [];
  let header = '';
  let body: Buffer[] = [];
  for (const piece of pieces) {
    if (piece.kind === 'header') header = piece.text;
    if (piece.kind === 'body') body.push(piece.bytes);
    if (piece.kind !== 'end') continue;
    frames.push({ header, body: Buffer.concat(body).toString() });
    body = [];
  }
  return frames;
}

const STREAM = Buffer.concat(FRAMES.map(bytesOf));

test('cut anywhere into two, it gives the same frames', () => {
  for (let cut = 0; cut <= STREAM.length; cut++) {
    const reader = new FrameReader();
    reader.push(STREAM.subarray(0, cut));
    const first = read(reader).pieces;
    reader.push(STREAM.subarray(cut));
    const frames = framesOf([...first, ...read(reader).pieces]);
    expect(frames, `cut at ${cut}`).toEqual(FRAMES);
    expect(reader.isWithin).toBe(false);
    expect(reader.heldBytes).toBe(0);
  }
});

test.each([1, 2, 3, 7, 64])('in pieces of %i bytes, it gives the same frames', (size) => {
  const reader = new FrameReader();
  const pieces: Piece[] = [];
  for (let at = 0; at < STREAM.length; at += size) {
    reader.push(STREAM.subarray(at, at + size));
    pieces.push(...read(reader).pieces);
  }
  expect(framesOf(pieces)).toEqual(FRAMES);
});

test('a body is handed out as it comes, and nothing of it is kept', () => {
  const reader = new FrameReader();
  reader.push(encodeHead({}, 1_000_000));
  expect(reader.next()).toEqual({ kind: 'header', text: '{}', bodyBytes: 1_000_000 });
  const chunk = Buffer.alloc(1000, 1);
  for (let i = 0; i < 1000; i++) {
    reader.push(chunk);
    const piece = reader.next();
    expect(piece?.kind === 'body' && piece.bytes.length).toBe(1000);
    expect(reader.heldBytes).toBe(0);
    expect(reader.isWithin).toBe(true);
  }
  expect(reader.next()).toEqual({ kind: 'end' });
  expect(reader.isWithin).toBe(false);
});

describe('isWithin', () => {
  const whole = bytesOf({ header: '{"id":1}', body: 'abc' });
  test.each(Array.from({ length: whole.length - 1 }, (_, index) => index + 1))(
    'after %i bytes',
    (count) => {
      const reader = new FrameReader();
      expect(reader.isWithin).toBe(false);
      reader.push(whole.subarray(0, count));
      read(reader);
      expect(reader.isWithin).toBe(true);
    },
  );
});

describe('garbage is known by its first 8 bytes', () => {
  const prefix = (headerBytes: number, bodyBytes: number) => {
    const bytes = Buffer.alloc(PREFIX_BYTES);
    bytes.writeUInt32LE(headerBytes, 0);
    bytes.writeUInt32LE(bodyBytes, 4);
    return bytes;
  };
  test.each([
    ['the longest of both', HEADER_MAX_BYTES, BODY_MAX_BYTES, null],
    ['a header one too long', HEADER_MAX_BYTES + 1, 0, 'a header too long'],
    ['a header of 4 GiB', 0xffff_ffff, 0, 'a header too long'],
    ['a body one too long', 2, BODY_MAX_BYTES + 1, 'a body too long'],
    ['a body of 4 GiB', 2, 0xffff_ffff, 'a body too long'],
  ])('%s', (_what, headerBytes, bodyBytes, problem) => {
    const reader = new FrameReader();
    reader.push(prefix(headerBytes, bodyBytes));
    expect(reader.next()).toEqual(problem === null ? null : { kind: 'garbage', problem });
  });

  test('a line of HTTP', () => {
    const reader = new FrameReader();
    reader.push(Buffer.from('GET / HTTP/1.1\r\n\r\n'));
    expect(reader.next()).toEqual({ kind: 'garbage', problem: 'a header too long' });
  });
});
