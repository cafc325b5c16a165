// progress.ts: pg_ctl's line of dots: a sentence, one dot at once and one more each second, and
// how it ended.

import * as messages from './messages.ts';
import type { Output } from './output.ts';

const DOT_MS = 1_000;

/** 'failed': it will not come any more; 'impatient': it may still come. */
export type WaitingEnd = 'done' | 'failed' | 'impatient';

export function showWaiting(output: Output, sentence: string): (end: WaitingEnd) => void {
  output.sayPart(`${sentence}....`);
  const dots = setInterval(() => output.sayPart('.'), DOT_MS);
  return (end) => {
    clearInterval(dots);
    output.say(end === 'done' ? messages.done : messages.stoppedWaiting);
  };
}
