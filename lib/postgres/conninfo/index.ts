// index.ts: the door of the conninfo layer; the rest of lib/ imports from here.

export { environmentOf } from './child-environment.ts';
export {
  type ConninfoEnvironment,
  type FileLook,
  processEnvironment,
} from './environment.ts';
export type { ConninfoOptions, Keyword } from './keywords.ts';
export { type ConninfoOverrides, overrideConninfo, parseConninfo } from './parse.ts';
export { resolveConninfo } from './resolve.ts';
export {
  type ConnectionTarget,
  describeHost,
  type SslMode,
  type TargetHost,
  type TargetSessionAttrs,
} from './target.ts';
