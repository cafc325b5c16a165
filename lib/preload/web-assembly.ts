// web-assembly.ts: WebAssembly.compile() and its like, in a process that will be forked.
//
// V8 compiles on the main thread here (--single-threaded), but posts a helper job all the same, for
// which a fork has no thread; and when the event loop runs empty, node waits for all jobs, for
// ever. So while such a promise is pending the loop is kept from running empty. What remains: a
// worker that has compiled WebAssembly must end by return, throw or process.exit(), and not by
// waiting for nothing at all, since its drained loop is never noticed.

type Compile = (...args: unknown[]) => Promise<unknown>;

const NAMES = ['compile', 'compileStreaming', 'instantiate', 'instantiateStreaming'] as const;

/** Launcher only, once, before any foreign code runs; the forks inherit it. */
export function holdLoopWhileCompiling(): void {
  // Node's types leave WebAssembly to those of browsers.
  const { WebAssembly } = globalThis as unknown as {
    WebAssembly?: Partial<Record<(typeof NAMES)[number], Compile>>;
  };
  if (WebAssembly === undefined) return; // node --jitless
  for (const name of NAMES) {
    const original = WebAssembly[name];
    if (original === undefined) continue;
    const held: Compile = async (...args) => {
      const hold = setInterval(() => {}, LONG_MS);
      try {
        return await Reflect.apply(original, WebAssembly, args);
      } finally {
        clearInterval(hold);
      }
    };
    Object.defineProperty(held, 'name', { value: name });
    WebAssembly[name] = held;
  }
}

const LONG_MS = 2_147_483_647;
