// native.ts: the face of the C++ addon, verb by verb, and the only file that loads it.
//
// lib/native/ says what there is, noun by noun. native/addon/ implements exactly these names, one
// small file per class; native/core/ below it knows neither Node nor this file. The verbs are thin:
// they do one thing and decide nothing. Descriptors are plain numbers and belong to whoever holds
// them; every one that the addon hands out is close-on-exec.
//
// A system call that fails throws an Error with `code` ('ENOENT'), `errno` and `syscall`, like
// Node's own. A wrong argument throws a TypeError. Numbers in shared memory and in messages are
// checked against the addon's own copies; nothing here trusts them.

import { createRequire } from 'node:module';
import type { Native } from './native/addon.ts';
import { PACKAGE_ROOT } from './package-files.ts';

export type * from './native/addon.ts';
export type * from './native/attachment.ts';
export type * from './native/connections.ts';
export type * from './native/launcher.ts';
export type * from './native/main-area.ts';

const load = createRequire(import.meta.url)('node-gyp-build') as (directory: string) => Native;

/** The addon: built here if there is a build, else the prebuilt one of this platform. */
export const native: Native = load(PACKAGE_ROOT);
