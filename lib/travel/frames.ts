// frames.ts: how messages follow each other on the control socket.
//
//     header bytes (4, little endian) | body bytes (4) | header (JSON) | body (opaque)
//
// The header is JSON, which can do nothing to who reads it; the body is never looked into on the
// way. What the reader gives comes in pieces, because a body may be a thousand times what anybody
// wants to hold: first the header with the length of the body, then the body as it arrives, then
// the end. It holds no more than it was given and has not handed out yet.

export const PREFIX_BYTES = 8;
export const HEADER_MAX_BYTES = 256 * 1024;
/** As the longest message of a queue. */
export const BODY_MAX_BYTES = 0x3fff_ffff;

/** A frame, but for its body, which the caller writes behind it. */
export function encodeHead(header: object, bodyBytes = 0): Buffer {
  const text = JSON.stringify(header);
  const headerBytes = Buffer.byteLength(text);
  const head = Buffer.allocUnsafe(PREFIX_BYTES + headerBytes);
  head.writeUInt32LE(headerBytes, 0);
  head.writeUInt32LE(bodyBytes, 4);
  head.write(text, PREFIX_BYTES);
  return head;
}

export type Piece =
  | { readonly kind: 'header'; readonly text: string; readonly bodyBytes: number }
  | { readonly kind: 'body'; readonly bytes: Buffer }
  | { readonly kind: 'end' }
  /** It is no frame; what follows it cannot be told apart from anything. */
  | { readonly kind: 'garbage'; readonly problem: 'a header too long' | 'a body too long' };

/** What is looked for next. */
type Place =
  | { readonly kind: 'prefix' }
  | { readonly kind: 'header'; readonly headerBytes: number; readonly bodyBytes: number }
  | { readonly kind: 'body'; readonly left: number };

export class FrameReader {
  #chunks: Buffer[] = [];
  #bytes = 0;
  #place: Place = { kind: 'prefix' };

  push(chunk: Buffer): void {
    if (chunk.length === 0) return;
    this.#chunks.push(chunk);
    this.#bytes += chunk.length;
  }

  /** What was pushed and not handed out. */
  get heldBytes(): number {
    return this.#bytes;
  }

  /** Has a frame begun that has not ended? */
  get isWithin(): boolean {
    return this.#place.kind !== 'prefix' || this.#bytes > 0;
  }

  /** null: not before there is more. After 'garbage' it is not to be asked again. */
  next(): Piece | null {
    switch (this.#place.kind) {
      case 'prefix':
        return this.#bytes < PREFIX_BYTES ? null : this.#readPrefix();
      case 'header': {
        const { headerBytes, bodyBytes } = this.#place;
        if (this.#bytes < headerBytes) return null;
        const text = this.#take(headerBytes).toString();
        this.#place = { kind: 'body', left: bodyBytes };
        return { kind: 'header', text, bodyBytes };
      }
      case 'body':
        return this.#readBody(this.#place.left);
    }
  }

  #readPrefix(): Piece | null {
    const prefix = this.#take(PREFIX_BYTES);
    const headerBytes = prefix.readUInt32LE(0);
    const bodyBytes = prefix.readUInt32LE(4);
    if (headerBytes > HEADER_MAX_BYTES) return { kind: 'garbage', problem: 'a header too long' };
    if (bodyBytes > BODY_MAX_BYTES) return { kind: 'garbage', problem: 'a body too long' };
    this.#place = { kind: 'header', headerBytes, bodyBytes };
    return this.next();
  }

  #readBody(left: number): Piece | null {
    if (left === 0) {
      this.#place = { kind: 'prefix' };
      return { kind: 'end' };
    }
    const [first] = this.#chunks;
    if (first === undefined) return null;
    const bytes = this.#take(Math.min(left, first.length));
    this.#place = { kind: 'body', left: left - bytes.length };
    return { kind: 'body', bytes };
  }

  /** There are as many. Copied only if they lie in several chunks. */
  #take(count: number): Buffer {
    let whole = 0;
    let bytes = 0;
    for (const chunk of this.#chunks) {
      if (bytes + chunk.length > count) break;
      bytes += chunk.length;
      whole++;
    }
    const parts = this.#chunks.splice(0, whole);
    const [rest] = this.#chunks;
    if (bytes < count && rest !== undefined) {
      parts.push(rest.subarray(0, count - bytes));
      this.#chunks[0] = rest.subarray(count - bytes);
    }
    this.#bytes -= count;
    return parts.length === 1 ? (parts[0] as Buffer) : Buffer.concat(parts, count);
  }
}
