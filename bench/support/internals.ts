// internals.ts: the library's own files, past its exports: for the limit that a start is compared
// with, which no user has a use for.

/** From dist-programs/bench/support/, where this file runs. */
const LIBRARY = new URL('../../../dist/', import.meta.url);

/** `file`: relative to lib/, without its ending. The caller names its type. */
export async function internal<T>(file: string): Promise<T> {
  return (await import(new URL(`${file}.js`, LIBRARY).href)) as T;
}
