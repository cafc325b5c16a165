// What a client of the control socket may say, exactly; everything else is nonsense, with its reason.

import { describe, expect, test } from 'vitest';
import { parseRequest } from '../../../lib/control/request.ts';

const HANDLE = { slot: 3, generation: '17' };

const REQUESTS: [header: object, request: object][] = [
  [
    { do: 'hello', instance: 'x' },
    { do: 'hello', instance: 'x' },
  ],
  [
    { id: 1, do: 'workers' },
    { id: 1, do: 'workers' },
  ],
  [
    { id: 1, do: 'register', options: 5 },
    { id: 1, do: 'register', options: 5 },
  ],
  // What is wrong with options is the sanity check's to say.
  [
    { id: 1, do: 'register' },
    { id: 1, do: 'register', options: undefined },
  ],
  ...['terminate', 'status', 'watch'].map((what): [object, object] => [
    { id: -1, do: what, ...HANDLE },
    { id: -1, do: what, handle: { slot: 3, generation: 17n } },
  ]),
  [
    { id: 1, do: 'status', slot: -4, generation: '18446744073709551615' },
    { id: 1, do: 'status', handle: { slot: -4, generation: 18446744073709551615n } },
  ],
  [
    { id: 1, do: 'workers', more: true },
    { id: 1, do: 'workers' },
  ],
];
test.each(REQUESTS)('%j', (header, request) => {
  expect(parseRequest(JSON.stringify(header), 0)).toEqual({ kind: 'request', request });
});

test('a registration may have a body, and nothing else', () => {
  for (const what of ['hello', 'workers', 'terminate', 'status', 'watch', 'nothing']) {
    const header = JSON.stringify({ id: 1, do: what, instance: 'x', ...HANDLE });
    expect(parseRequest(header, 1)).toEqual({
      kind: 'nonsense',
      problem: 'only a registration has a body',
    });
  }
  expect(parseRequest('{"id":1,"do":"register"}', 1).kind).toBe('request');
});

describe('nonsense', () => {
  const JSON_RULE = 'the header is no JSON object';
  const ID_RULE = 'id is no whole number';
  const HANDLE_RULE = 'slot and generation are no handle';
  const texts: [text: string, problem: string][] = [
    ['', JSON_RULE],
    ['{', JSON_RULE],
    ['\0\0', JSON_RULE],
    ['null', JSON_RULE],
    ['[]', JSON_RULE],
    ['"register"', JSON_RULE],
    ['7', JSON_RULE],
    ['{"a":1}}', JSON_RULE],
    ['{}', ID_RULE],
    ['{"do":"workers"}', ID_RULE],
    ['{"do":"workers","id":"1"}', ID_RULE],
    ['{"do":"workers","id":1.5}', ID_RULE],
    ['{"do":"workers","id":1e300}', ID_RULE],
    ['{"do":"workers","id":null}', ID_RULE],
    ['{"do":"hello"}', 'instance is no text'],
    ['{"do":"hello","instance":7}', 'instance is no text'],
    ['{"id":1}', 'do is undefined'],
    ['{"id":1,"do":"Register"}', "do is 'Register'"],
    ['{"id":1,"do":["register"]}', "do is [ 'register' ]"],
    ['{"id":1,"do":"constructor"}', "do is 'constructor'"],
    ['{"id":1,"do":"status"}', HANDLE_RULE],
    ['{"id":1,"do":"status","slot":1}', HANDLE_RULE],
    ['{"id":1,"do":"status","slot":"1","generation":"1"}', HANDLE_RULE],
    ['{"id":1,"do":"status","slot":1,"generation":1}', HANDLE_RULE],
    ['{"id":1,"do":"status","slot":1,"generation":"-1"}', HANDLE_RULE],
    ['{"id":1,"do":"status","slot":1,"generation":"0x1"}', HANDLE_RULE],
    ['{"id":1,"do":"status","slot":1,"generation":""}', HANDLE_RULE],
    ['{"id":1,"do":"status","slot":1,"generation":" 1"}', HANDLE_RULE],
    [`{"id":1,"do":"status","slot":1,"generation":"${'9'.repeat(21)}"}`, HANDLE_RULE],
    ['{"id":1,"do":"status","slot":0.5,"generation":"1"}', HANDLE_RULE],
  ];
  test.each(texts)('%j: %s', (text, problem) => {
    expect(parseRequest(text, 0)).toEqual({ kind: 'nonsense', problem });
  });

  test('what is long is said in short', () => {
    const parsed = parseRequest(JSON.stringify({ id: 1, do: 'x'.repeat(100_000) }), 0);
    expect(parsed.kind === 'nonsense' && parsed.problem.length).toBeLessThan(200);
  });
});
