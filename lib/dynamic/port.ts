// port.ts: the way to the postmaster, as whoever has dynamic workers sees it: over the control
// socket (control-client.ts), or within the postmaster's own process (control/local-port.ts).

import type { BgworkerError } from '../errors.ts';
import type { Answers, ControlRequest, News } from '../travel/control.ts';

export type Question<Name extends keyof Answers> = Extract<ControlRequest, { do: Name }>;

export interface ControlPort {
  /**
   * `answered` is called as soon as the answer is heard, before any news that stands behind it; what
   * it gives is what the promise resolves with.
   *
   * @throws BgworkerError what the postmaster refused; ERR_POSTMASTER_DIED; ERR_CONTROL_SOCKET
   */
  ask<Name extends keyof Answers, Value>(
    question: Question<Name>,
    body: Uint8Array | null,
    answered: (answer: Answers[Name]) => Value,
  ): Promise<Value>;
  /** Who hears the news; once. */
  listen(listener: PortListener): void;
  /** Somebody waits for news: that is a reason to live. Until released as often. */
  hold(): void;
  release(): void;
}

export interface PortListener {
  news(news: News): void;
  /** There will be no more. null: the postmaster is dead; else the postmaster cut this client off. */
  ended(why: BgworkerError | null): void;
}
