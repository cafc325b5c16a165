// import-module.ts: loads a module of the user's: JavaScript by node itself, TypeScript by jiti.
//
// jiti on every Node, although newer ones strip types themselves: the same source then means the
// same on all of them (enums, decorators, no file extension), and jiti starts no thread, which a
// loader hook does and a fork would lose. It is loaded when the first TypeScript file comes.

import { createRequire, isBuiltin } from 'node:module';
import { pathToFileURL } from 'node:url';

export type ModuleNamespace = Readonly<Record<string, unknown>>;

const TYPESCRIPT = /\.[cm]?ts$/;

/**
 * `module`: a file: URL, an absolute path, a node: name, or a package, which is looked for from the
 * working directory and not from where this library happens to be installed.
 */
export async function importModule(module: string): Promise<ModuleNamespace> {
  const name = module.startsWith('/') ? pathToFileURL(module).href : module;
  const known = loaded.get(name);
  if (known !== undefined) return known;
  const url = name.startsWith('file:') || isBuiltin(name) ? name : findPackage(name);
  const namespace = await (TYPESCRIPT.test(url)
    ? (jiti(import.meta.url).import(url) as Promise<ModuleNamespace>)
    : (import(url) as Promise<ModuleNamespace>));
  loaded.set(name, namespace);
  return namespace;
}

/**
 * What was loaded here, or in the launcher before the fork: to have node resolve and link the same
 * module again takes a child as long as anything else on its way to main().
 */
const loaded = new Map<string, ModuleNamespace>();

function findPackage(name: string): string {
  return jiti(pathToFileURL(`${process.cwd()}/`).href).esmResolve(name);
}

function jiti(from: string): import('jiti').Jiti {
  const { createJiti } = createRequire(import.meta.url)('jiti') as typeof import('jiti');
  return createJiti(from, { interopDefault: false });
}
