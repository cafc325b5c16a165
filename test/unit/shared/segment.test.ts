// A dynamic segment between processes that are objects of one thread: what is made of it, and what
// becomes of that when it is detached.

import { describe, expect, test } from 'vitest';
import { realProcesses } from './real.ts';

const three = () => realProcesses(() => null);

function segmentOfTwo() {
  const [{ dsm }, { dsm: other }] = three();
  const mine = dsm.create(8192);
  return { dsm, other, mine, theirs: other.attach(mine.handle) };
}

describe('callbacks', () => {
  test('run before anything is gone, the latest first', () => {
    const { mine, theirs } = segmentOfTwo();
    const called: unknown[] = [];
    mine.onDetach(() =>
      called.push(['first', count.count.add(1), lock.tryAcquire('shared')?.mode]),
    );
    mine.onDetach(() => called.push(['second', queue.trySend(new Uint8Array(1)), mine.isAttached]));
    const count = mine.struct({ count: 'u32' });
    const lock = mine.lwlock({ byteOffset: 64 });
    const queue = mine.messageQueue({ byteOffset: 128, bytes: 1024 });
    mine.detach();
    expect(called).toEqual([
      ['second', 'SUCCESS', true],
      ['first', 0, 'shared'],
    ]);
    expect(mine.isAttached).toBe(false);
    expect(mine.buffer.byteLength).toBe(0);
    // The lock was released with the memory, the queue's end detached.
    expect(theirs.lwlock({ byteOffset: 64 }).tryAcquire('exclusive')).not.toBeNull();
    const receiving = theirs.messageQueue({ byteOffset: 128, bytes: 1024 });
    expect(receiving.tryReceive().result).toBe('SUCCESS');
    expect(receiving.tryReceive().result).toBe('DETACHED');
  });

  test('are cancelled one by one, each once', () => {
    const { mine } = segmentOfTwo();
    let times = 0;
    const callback = () => {
      times++;
    };
    const cancels = [1, 2, 3].map(() => mine.onDetach(callback));
    cancels[0]?.();
    cancels[0]?.();
    mine.detach();
    expect(times).toBe(2);
    cancels[1]?.();
  });

  test('that throw keep no other from being called; the first one is heard of', () => {
    const { mine, other, theirs } = segmentOfTwo();
    const called: number[] = [];
    for (const number of [1, 2, 3]) {
      mine.onDetach(() => {
        called.push(number);
        if (number > 1) throw new Error(`from ${number}`);
      });
    }
    expect(() => mine.detach()).toThrow('from 3');
    expect(called).toEqual([3, 2, 1]);
    expect(() => mine.detach()).not.toThrow();
    theirs.detach();
    expect(other.list()).toEqual([]);
  });

  test('that detach themselves have the rest done at once', () => {
    const { mine, theirs } = segmentOfTwo();
    const called: string[] = [];
    mine.onDetach(() => called.push('first'));
    mine.onDetach(() => {
      mine.detach();
      called.push('back');
    });
    mine.detach();
    expect(called).toEqual(['first', 'back']);
    expect(theirs.isAttached).toBe(true);
  });

  test('at the exit run after all locks were released, the latest segment first', () => {
    const [{ attached, dsm, face: lock }] = realProcesses((shmem) => shmem.lwlock('main'));
    const called: unknown[] = [];
    for (const name of ['older', 'newer']) {
      dsm.create(4096).onDetach(() => {
        called.push([name, lock.isHeld]);
        lock.acquireSync('exclusive');
      });
    }
    lock.acquireSync('exclusive');
    expect(() => attached.leave()).toThrow(/"main" is held .* by this very process/);
    expect(called).toEqual([
      ['newer', false],
      ['older', true],
    ]);
  });
});

describe('what was made of it', () => {
  test('is the same thing, asked for again', async () => {
    const { mine, theirs } = segmentOfTwo();
    const barrier = mine.barrier({ participants: 2 });
    const waiting = barrier.arriveAndWait();
    // A second barrier would begin anew, and forget who has arrived.
    expect(mine.barrier({ participants: 2 })).toBe(barrier);
    expect(theirs.barrier({ participants: 2 }).arriveAndWaitSync()).toBe(true);
    expect(await waiting).toBe(false);
    for (const segment of [mine, theirs]) {
      const at = { byteOffset: 64 };
      expect(segment.lwlock(at)).toBe(segment.lwlock(at));
      expect(segment.latch({ byteOffset: 128 })).toBe(segment.latch({ byteOffset: 128 }));
      expect(segment.conditionVariable({ byteOffset: 192 })).toBe(
        segment.conditionVariable({ byteOffset: 192 }),
      );
      expect(segment.struct({ n: 'u32' }, { byteOffset: 256 })).toBe(
        segment.struct({ n: 'u32' }, { byteOffset: 256 }),
      );
    }
  });

  test('is a dynamic barrier from the beginning, whoever asks first', async () => {
    const { mine, theirs } = segmentOfTwo();
    const early = theirs.barrier();
    early.attach();
    // Its maker comes late, and finds it in use.
    const late = mine.barrier();
    expect(late.participants).toBe(1);
    late.attach();
    const waiting = early.arriveAndWait();
    expect(late.arriveAndWaitSync()).toBe(true);
    expect(await waiting).toBe(false);
  });

  test('has one shape, but for structs, which may be unions', () => {
    const { mine, theirs } = segmentOfTwo();
    mine.barrier({ participants: 2 });
    expect(() => mine.barrier()).toThrow(/barrier at 0 of dynamic segment .* in another shape/);
    expect(() => theirs.barrier({ participants: 3 })).toThrow(/is static, of 2 participants/);
    mine.messageQueue({ byteOffset: 64, bytes: 512 });
    expect(() => mine.messageQueue({ byteOffset: 64, bytes: 520 })).toThrow(/in another shape/);
    mine.struct({ whole: 'u64' }, { byteOffset: 1024 }).whole.store(0x0002_0000_0001n);
    const halves = mine.struct({ low: 'u32', high: 'u32' }, { byteOffset: 1024 });
    expect([halves.low.load(), halves.high.load()]).toEqual([1, 2]);
  });

  test('says so when it is used afterwards', async () => {
    const { mine } = segmentOfTwo();
    const fields = mine.struct({ n: 'u32', text: { bytes: 4 } });
    const lock = mine.lwlock({ byteOffset: 64 });
    const held = lock.acquireSync('exclusive');
    const variable = mine.conditionVariable({ byteOffset: 128 });
    const barrier = mine.barrier({ byteOffset: 192 });
    const latch = mine.latch({ byteOffset: 256 });
    const queue = mine.messageQueue({ byteOffset: 320, bytes: 512 });
    const used = mine.messageQueue({ byteOffset: 1024, bytes: 512 });
    used.trySend(new Uint8Array(1));
    mine.detach();
    const uses: (() => unknown)[] = [
      () => fields.n.load(),
      () => fields.text.read(),
      () => lock.tryAcquire('shared'),
      () => lock.isHeld,
      () => held.release(),
      () => variable.signal(),
      () => variable.waitSync(() => false),
      () => barrier.attach(),
      () => barrier.phase,
      () => latch.set(),
      () => latch.reset(),
      () => latch.isSet,
      () => latch.own(),
      () => latch.wait(),
      () => queue.sender,
      () => queue.receive(),
      () => mine.struct({ n: 'u32' }),
      () => mine.latch(),
      () => mine.messageQueue(),
      () => mine.pin(),
      () => mine.unpin(),
      () => mine.pinMapping(),
      () => mine.unpinMapping(),
      () => mine.onDetach(() => {}),
    ];
    for (const use of uses) {
      expect(use, String(use)).toThrow(
        expect.objectContaining({ name: 'BgworkerError', code: 'ERR_WRONG_STATE' }),
      );
    }
    await expect(variable.wait(() => false)).rejects.toThrow(/is not mapped in this process/);
    // One end of a queue says it as PostgreSQL does.
    expect(used.trySend(new Uint8Array(1))).toBe('DETACHED');
  });
});

test('how to wait at a queue can be said after it was made, and after an end was taken', async () => {
  const { mine } = segmentOfTwo();
  const { receiver } = mine.messageQueue({ bytes: 1024 });
  let isGone = false;
  const isPeerGone = () => isGone;
  expect(mine.messageQueue({ bytes: 1024, isPeerGone }).receiver).toBe(receiver);
  const waiting = receiver.receive();
  isGone = true;
  const latch = mine.latch({ byteOffset: 4096 });
  latch.own();
  latch.set();
  expect(await waiting).toEqual({ result: 'DETACHED' });
});

test('waits for what lies in it end when it is detached', async () => {
  const { mine, theirs } = segmentOfTwo();
  const held = theirs.lwlock().acquireSync('exclusive');
  const latch = mine.latch({ byteOffset: 64 });
  latch.own();
  const barrier = mine.barrier({ byteOffset: 128 });
  barrier.attach();
  theirs.barrier({ byteOffset: 128 }).attach();
  const waits = {
    lock: mine.lwlock().acquire('exclusive'),
    latch: latch.wait(),
    barrier: barrier.arriveAndWait(),
    condition: mine.conditionVariable({ byteOffset: 192 }).wait(() => false),
    queue: mine.messageQueue({ byteOffset: 256 }).receiver.receive(),
  };
  const all = Promise.allSettled(Object.values(waits));
  mine.detach();
  const [lock, ownLatch, arrival, condition, queue] = await all;
  for (const one of [lock, ownLatch, arrival, condition]) {
    expect(one).toMatchObject({ status: 'rejected', reason: { code: 'ERR_WRONG_STATE' } });
  }
  expect(queue).toMatchObject({ status: 'fulfilled', value: { result: 'DETACHED' } });
  // Nobody of them stands in a list of the memory that is still there.
  held.release();
  expect(theirs.lwlock().tryAcquire('exclusive')).not.toBeNull();
  theirs.conditionVariable({ byteOffset: 192 }).signal();
  // The latch belongs to nobody: the next process in this slot does not inherit it.
  const free = theirs.latch({ byteOffset: 64 });
  expect(free.owner).toBe(-1);
  free.own();
  free.set();
  expect(await free.wait()).toMatchObject({ latchSet: true });
});

test('a condition that detaches the segment it lies in ends its wait', async () => {
  const { mine } = segmentOfTwo();
  const detach = () => {
    mine.detach();
    return false;
  };
  expect(() => mine.conditionVariable().waitSync(detach)).toThrow(/has left the shared memory/);
  const [{ dsm }] = three();
  const segment = dsm.create(64);
  const waiting = segment.conditionVariable().wait(() => {
    segment.detach();
    return false;
  });
  await expect(waiting).rejects.toThrow(/has left the shared memory/);
});

describe('a named one', () => {
  const NAME = 'cache';

  test('is initialised once, found by the others, and the same object again', () => {
    const [{ dsm }, { dsm: other }] = three();
    let times = 0;
    const ask = (from: typeof dsm) =>
      from.named(NAME, 4096, (segment) => {
        times++;
        segment.struct({ n: 'u32' }).n.store(7);
      });
    const mine = ask(dsm);
    expect(ask(dsm)).toBe(mine);
    expect(ask(other).struct({ n: 'u32' }).n.load()).toBe(7);
    expect([mine.isCreator, ask(other).isCreator, times]).toEqual([true, false, 1]);
    expect(dsm.find(mine.handle)).toBe(mine);
    expect(dsm.names()).toEqual([{ name: NAME, kind: 'segment', bytes: 4096 }]);
    // Pinned, and so is the mapping.
    {
      using _again = ask(dsm);
    }
    expect(mine.isAttached).toBe(true);
    mine.detach();
    ask(other).detach();
    expect(ask(dsm).struct({ n: 'u32' }).n.load()).toBe(7);
  });

  const failures: [
    what: string,
    fail: (segment: { onDetach(f: () => void): void; detach(): void }) => unknown,
    message: RegExp,
  ][] = [
    [
      'throws',
      () => {
        throw new Error('first cause');
      },
      /first cause/,
    ],
    [
      'throws, and so does its callback',
      (segment) => {
        segment.onDetach(() => {
          throw new Error('second');
        });
        throw new Error('first cause');
      },
      /first cause/,
    ],
    [
      'detaches the segment',
      (segment) => segment.detach(),
      /do not detach it while it is initialised/,
    ],
    ['returns a promise', async () => {}, /must be synchronous/],
  ];
  test.each(failures)(
    'whose first initialiser %s is initialised by the next',
    (_what, fail, message) => {
      const [{ dsm }, { dsm: other }] = three();
      expect(() => dsm.named(NAME, 4096, fail)).toThrow(message);
      expect(dsm.list()).toEqual([]);
      expect(dsm.names()).toEqual([{ name: NAME, kind: 'segment', bytes: null }]);
      const made = other.named(NAME, 4096, (segment) => segment.struct({ n: 'u32' }).n.store(5));
      expect(made.isCreator).toBe(true);
      expect(dsm.named(NAME, 4096).struct({ n: 'u32' }).n.load()).toBe(5);
    },
  );

  test('whose initialiser asks for itself is refused, and asks for another one in vain not', () => {
    const [{ dsm }] = three();
    expect(() => dsm.named(NAME, 4096, () => void dsm.named(NAME, 4096))).toThrow(
      expect.objectContaining({ code: 'ERR_SHMEM_INITIALISED_ABOVE' }),
    );
    const outer = dsm.named(NAME, 4096, () => void dsm.named('other', 64));
    expect(outer.isCreator).toBe(true);
  });
});
