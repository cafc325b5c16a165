// scene.ts: a scene of shared memory, played by real processes of a real postmaster.

import { fileURLToPath } from 'node:url';
import type { Cast } from '../fixtures/shared/stage.ts';
import { type PostmasterProgram, type Setting, startPostmaster } from './postmaster.ts';

const STAGE = fileURLToPath(
  new URL('../../dist-programs/test/fixtures/shared/stage.js', import.meta.url),
);

/** Nobody has left yet, perhaps: the test hears what they say, and stops it. */
export function openScene(cast: Cast, setting: Setting = {}): Promise<PostmasterProgram> {
  const env = { ...setting.env, BGWORKER_TEST_SCENE: JSON.stringify(cast) };
  return startPostmaster({ ...setting, preload: [STAGE], env });
}

/** What each process came to, in order; every one has left in order, and nothing crashed. */
export async function play<Value>(
  cast: Cast,
  { withinMs = 60_000, ...setting }: Setting & { readonly withinMs?: number } = {},
): Promise<Value[]> {
  const postmaster = await openScene(cast, setting);
  const values: Value[] = [];
  for (let me = 0; me < cast.processes; me++) {
    const { value } = await postmaster.heard(`p${me}`, 'done', { withinMs });
    values.push(value as Value);
  }
  for (let me = 0; me < cast.processes; me++) {
    const exit = await postmaster.exitOf(`p${me}`);
    if (exit.how !== 'code 0' || !exit.cleanDetach) {
      throw new Error(`p${me} left with ${exit.how}\n${postmaster.output}`);
    }
  }
  await postmaster.stop();
  return values;
}
