// bundle.mjs: makes dist/bundle/, the library as its users run it: what tsc has made of lib/, in a few
// files. Node takes half a millisecond and more for each module that it loads, and there are two
// hundred, in each of the postmaster, the launcher and every worker that is not forked.
//
//     node scripts/bundle.mjs        # after tsc -b; `npm run compile` does both

import { fileURLToPath } from 'node:url';
import { build } from 'rolldown';

await build({
  cwd: fileURLToPath(new URL('..', import.meta.url)),
  input: {
    index: 'dist/index.js',
    // By these names in package.json's "imports".
    launcher: 'dist/launcher.js',
    'exec-worker': 'dist/exec-worker.js',
    cli: 'dist/cli/main.js',
    practise: 'dist/run/practise.js',
    'parallel-worker': 'dist/run/parallel/parallel-worker.js',
  },
  // Dependencies stay dependencies.
  external: /^[^./]/,
  platform: 'node',
  output: {
    dir: 'dist/bundle',
    cleanDir: true,
    format: 'esm',
    sourcemap: true,
    chunkFileNames: 'chunks/[name].js',
  },
});
