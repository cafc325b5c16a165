// load-function.ts: a function of a module of the user's, by its name (load_external_function).

import { functionMissing } from '../messages.ts';
import { importModule } from './import-module.ts';

// biome-ignore lint/suspicious/noExplicitAny: it is whatever the user's module has.
type AnyFunction = (...args: any[]) => unknown;

/** `module`: a file: URL, an absolute path or a package name. */
export async function loadFunction(module: string, name: string): Promise<AnyFunction> {
  const loaded = await importModule(module);
  const found = loaded[name];
  if (typeof found === 'function') return found as AnyFunction;
  throw new Error(functionMissing(module, name, Object.keys(loaded)));
}
