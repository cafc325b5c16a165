// What the compiler makes of a struct's layout and of a queue's options. Nothing here runs: a wrong
// type does not compile (npx tsc -p test/tsconfig.json).

import type { BytesField, FloatField, IntegerField } from '../../lib/shared/fields.ts';
import type { Held, Lwlock } from '../../lib/shared/lwlock.ts';
import { MessageQueue, type QueuePlace, type TryReceived } from '../../lib/shared/message-queue.ts';
import { defineStruct, type Struct } from '../../lib/shared/struct.ts';
import type { ThisProcess } from '../../lib/shared/this-process.ts';

type Same<One, Other> =
  (<T>() => T extends One ? 1 : 2) extends <T>() => T extends Other ? 1 : 2 ? true : false;
function expectSame<One, Other>(_: Same<One, Other>): void {}

export function structs(): void {
  const { fields } = defineStruct('hits', {
    count: 'u64',
    delta: 'i64',
    last: 'f64',
    small: 'f32',
    flag: 'i32',
    tiny: 'u8',
    note: { bytes: 64 },
  });
  expectSame<typeof fields.count, IntegerField<bigint>>(true);
  expectSame<typeof fields.delta, IntegerField<bigint>>(true);
  expectSame<typeof fields.last, FloatField>(true);
  expectSame<typeof fields.small, FloatField>(true);
  expectSame<typeof fields.flag, IntegerField<number>>(true);
  expectSame<typeof fields.tiny, IntegerField<number>>(true);
  expectSame<typeof fields.note, BytesField>(true);
  expectSame<Struct<{ a: 'u8' }>, { readonly a: IntegerField<number> }>(true);
  // @ts-expect-error: a u64 is a bigint
  fields.count.add(1);
  // @ts-expect-error: an i32 is a number
  fields.flag.add(1n);
  // @ts-expect-error: a float is not added to
  fields.last.add(1);
  // @ts-expect-error: there is no such field
  fields.missing.load();
  // @ts-expect-error: fields are not replaced
  fields.flag = fields.tiny;
  // @ts-expect-error: there is no such type
  defineStruct('s', { a: 'u128' });
}

export function queues(process: ThisProcess, place: QueuePlace): void {
  const bytes = MessageQueue.create(process, place);
  expectSame<typeof bytes, MessageQueue<Uint8Array>>(true);
  const values = MessageQueue.open<{ id: number }>(process, place, { values: true });
  const got = values.tryReceive();
  expectSame<typeof got, TryReceived<{ id: number }>>(true);
  if (got.result === 'SUCCESS') expectSame<typeof got.message, { id: number }>(true);
  // @ts-expect-error: without a result there is no message
  got.message;
  // @ts-expect-error: bytes are a Uint8Array
  bytes.trySend('text');
  // @ts-expect-error: a value has its type
  values.trySend({ id: 'x' });
}

export async function locks(lock: Lwlock): Promise<void> {
  const held = await lock.acquire('shared');
  expectSame<typeof held, Held>(true);
  const maybe = lock.tryAcquire('exclusive');
  expectSame<typeof maybe, Held | null>(true);
  const sum = await lock.with('exclusive', async () => 1n);
  expectSame<typeof sum, bigint>(true);
  // @ts-expect-error: there are two modes
  lock.tryAcquire('update');
}
