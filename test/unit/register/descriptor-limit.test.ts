// How many descriptors a postmaster's options may take, and the sentence where that is too many.

import { expect, test } from 'vitest';
import { checkDescriptorLimit } from '../../../lib/register/descriptor-limit.ts';
import { checkOptions } from '../../../lib/register/options.ts';

const LISTEN = { listen: [{ port: 1 }] };

test.each([
  [{ maxWorkerProcesses: 1 }, 259],
  [{ maxWorkerProcesses: 1_000 }, 3_256],
  [{ maxWorkerProcesses: 1, maxConnections: 1_000 }, 259],
  [{ maxWorkerProcesses: 1, maxConnections: 1_000, ...LISTEN }, 3_259],
])('%j: %i', (given, wanted) => {
  const options = checkOptions({ dataDirectory: '/d', ...given });
  checkDescriptorLimit(options, wanted);
  expect(() => checkDescriptorLimit(options, wanted - 1)).toThrow(`may take ${wanted} descriptors`);
});

test('the sentence', () => {
  const options = checkOptions({ dataDirectory: '/d', ...LISTEN, maxConnections: 2_000 });
  expect(() => checkDescriptorLimit(options, 1_024)).toThrow(
    'postmaster options: maxWorkerProcesses 8 and maxConnections 2000 may take 6280 descriptors, and this process may open 1024: raise its limit (ulimit -n, LimitNOFILE=) or lower the options',
  );
});

test('where there is no limit, everything is let through', () => {
  const options = checkOptions({ dataDirectory: '/d', maxWorkerProcesses: 262_143 });
  checkDescriptorLimit(options, Number.POSITIVE_INFINITY);
});
