// request.ts: a client's request, read from what it sent. Nothing of it is believed: what is not
// exactly a request is a sentence that says why not.

import { quote } from '../messages.ts';
import type { HandleId } from '../model/handle.ts';
import { arrived } from '../travel/control.ts';
import * as messages from './messages.ts';

export type Request =
  | { readonly do: 'hello'; readonly instance: string }
  | { readonly do: 'register'; readonly id: number; readonly options: unknown }
  | {
      readonly do: 'terminate' | 'status' | 'watch';
      readonly id: number;
      readonly handle: HandleId;
    }
  | { readonly do: 'workers'; readonly id: number };

export type Parsed =
  | { readonly kind: 'request'; readonly request: Request }
  | { readonly kind: 'nonsense'; readonly problem: string };

/** What may be there, and may be anything. */
interface Fields {
  readonly do?: unknown;
  readonly id?: unknown;
  readonly instance?: unknown;
  readonly options?: unknown;
  readonly slot?: unknown;
  readonly generation?: unknown;
}

export function parseRequest(text: string, bodyBytes: number): Parsed {
  const fields = fieldsOf(text);
  if (fields === null) return nonsense(messages.notJson);
  if (bodyBytes > 0 && fields.do !== 'register') return nonsense(messages.bodyUnwanted);
  return requestOf(fields);
}

export function requestOf(fields: Fields): Parsed {
  const { do: what, id } = fields;
  if (what === 'hello') {
    const { instance } = fields;
    if (typeof instance !== 'string') return nonsense(messages.noInstance);
    return { kind: 'request', request: { do: 'hello', instance } };
  }
  if (!isId(id)) return nonsense(messages.noId);
  switch (what) {
    case 'register':
      return { kind: 'request', request: { do: what, id, options: fields.options } };
    case 'terminate':
    case 'status':
    case 'watch': {
      const { slot, generation } = fields;
      const handle = arrived({ slot, generation });
      if (handle === null) return nonsense(messages.noHandle);
      return { kind: 'request', request: { do: what, id, handle } };
    }
    case 'workers':
      return { kind: 'request', request: { do: what, id } };
    default:
      return nonsense(messages.noSuchRequest(quote(what)));
  }
}

function fieldsOf(text: string): Fields | null {
  try {
    const value: unknown = JSON.parse(text);
    const isObject = typeof value === 'object' && value !== null && !Array.isArray(value);
    return isObject ? (value as Fields) : null;
  } catch {
    return null; // It is no JSON, which is all that there is to say.
  }
}

function isId(id: unknown): id is number {
  return Number.isSafeInteger(id);
}

function nonsense(problem: string): Parsed {
  return { kind: 'nonsense', problem };
}
