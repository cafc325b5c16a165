// import-module.ts: loads a module of the user's: JavaScript by node itself, TypeScript by jiti.
//
// jiti on every Node, although newer ones strip types themselves: the same source then means the
// same on all of them (enums, decorators, no file extension), and jiti starts no thread, which a
// loader hook does and a fork would lose. It is loaded when the first TypeScript file comes.

import { createRequire } from 'node:module';

export type ModuleNamespace = Readonly<Record<string, unknown>>;

const TYPESCRIPT = /\.[cm]?ts$/;

/** `url`: a file: URL, a package name or a node: name. */
export async function importModule(url: string): Promise<ModuleNamespace> {
  if (!TYPESCRIPT.test(new URL(url, 'file:').pathname)) return import(url);
  const { createJiti } = createRequire(import.meta.url)('jiti') as typeof import('jiti');
  return createJiti(import.meta.url, { interopDefault: false }).import(url);
}
