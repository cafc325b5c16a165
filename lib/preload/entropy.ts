// entropy.ts: random numbers that a fork does not copy.
//
// A fork inherits the state of V8's Math.random() and the random bytes that node:crypto keeps in
// stock for randomUUID() and randomInt(), so all siblings would return the same values. The guards
// are installed in the launcher before the first preload module, because modules keep references
// (`const { random } = Math`); until the fork they use nothing that is kept in stock, and in a
// child, where the stock is then untouched, the originals take over. randomBytes(),
// getRandomValues() and everything built on OpenSSL's generator notice a fork by themselves.

import crypto from 'node:crypto';
import { syncBuiltinESMExports } from 'node:module';

let isLauncher = true;

/** Launcher only, once, before any foreign code runs. */
export function installEntropyGuards(): void {
  Math.random = guardedRandom;
  crypto.randomUUID = guardedUuid(crypto.randomUUID);
  crypto.randomInt = guardedInt(crypto.randomInt);
  const webCrypto = Object.getPrototypeOf(globalThis.crypto) as typeof globalThis.crypto;
  const webUuid = webCrypto.randomUUID;
  webCrypto.randomUUID = function randomUUID() {
    return isLauncher ? crypto.randomUUID() : webUuid.call(this);
  };
  syncBuiltinESMExports();
}

/**
 * Child only, before any foreign code runs. Costs nothing: the seed is drawn at the first use.
 * Gives what undoes it, for the launcher's rehearsal.
 */
export function divergeFromSiblings(): () => void {
  isLauncher = false;
  isSeeded = false;
  return () => {
    isLauncher = true;
  };
}

// Math.random(): Chris Doty-Humphrey's sfc32, 128 bits of state, 53 random bits a number.
const state = new Int32Array(4);
let isSeeded = false;

function guardedRandom(): number {
  if (!isSeeded) {
    crypto.randomFillSync(state);
    isSeeded = true;
  }
  return ((nextWord() >>> 5) * 0x4000000 + (nextWord() >>> 6)) / 0x20000000000000;
}

function nextWord(): number {
  // By index: destructuring would go through the iterator, at ten times the cost.
  const a = state[0] as number;
  const b = state[1] as number;
  const c = state[2] as number;
  const counter = state[3] as number;
  const word = (a + b + counter) | 0;
  state[0] = b ^ (b >>> 9);
  state[1] = (c + (c << 3)) | 0;
  state[2] = (((c << 21) | (c >>> 11)) + word) | 0;
  state[3] = (counter + 1) | 0;
  return word;
}

function guardedUuid(original: typeof crypto.randomUUID): typeof crypto.randomUUID {
  return function randomUUID(options) {
    return original(isLauncher ? { ...options, disableEntropyCache: true } : options);
  };
}

type RandomInt = typeof crypto.randomInt;

function guardedInt(original: RandomInt): RandomInt {
  function randomInt(...args: [number, ...unknown[]]): unknown {
    const call = original as (...args: unknown[]) => unknown;
    if (!isLauncher) return call(...args);
    const callback = args.find((arg) => typeof arg === 'function') as RandomIntCallback | undefined;
    const [low, high] = typeof args[1] === 'number' ? [args[0], args[1]] : [0, args[0]];
    const isValid = Number.isSafeInteger(low) && Number.isSafeInteger(high) && low < high;
    // The original words the error; for a range that is too wide it does so below, too.
    if (!isValid || high - low > MAX_RANGE) return call(...args);
    const value = low + drawBelow(high - low);
    if (callback === undefined) return value;
    process.nextTick(callback, undefined, value);
    return undefined;
  }
  return randomInt as RandomInt;
}

type RandomIntCallback = (error: Error | undefined, value: number) => void;

/** The widest range that crypto.randomInt() takes: 48 random bits. */
const MAX_RANGE = 2 ** 48 - 1;

/** An even draw from 0 to range - 1: bits that would favour the small numbers are drawn again. */
function drawBelow(range: number): number {
  const limit = 2 ** 48 - (2 ** 48 % range);
  for (;;) {
    const bits = crypto.randomBytes(6).readUIntBE(0, 6);
    if (bits < limit) return bits % range;
  }
}
