// loop.ts: the ServerLoop. Takes turns: what happened, what is to be done, doing it.
//
//     events ─> apply(state, event) ─> state ─> plan(state, now) ─> actions ─> perform(action)
//
// A turn is taken when something has happened or when the plan's next wake-up is due, and at no
// other time. Between two turns node's event loop runs, so connections, signals and exits that
// have come in are seen before the next worker is started.

import type { Action } from './model/action.ts';
import type { Event } from './model/event.ts';
import type { Instant } from './model/standing.ts';
import type { State } from './model/state.ts';
import { apply } from './react/apply.ts';
import { plan } from './schedule/plan.ts';

export interface LoopHooks {
  /** Carries the action out. What it cannot do comes back as an event, never as a throw. */
  perform(action: Action, state: State): void;
  /** After each event: for log lines, listeners and the main area. */
  changed(event: Event, before: State, after: State): void;
}

/** The longest delay that a timer takes; a later wake-up just comes in two steps. */
const TIMER_MAX_MS = 2_147_483_647;

export class ServerLoop {
  #state: State;
  readonly #hooks: LoopHooks;
  readonly #queue: { at: Instant; event: Event }[] = [];
  #nextTurn: NodeJS.Immediate | null = null;
  #alarm: NodeJS.Timeout | null = null;

  constructor(state: State, hooks: LoopHooks) {
    this.#state = state;
    this.#hooks = hooks;
  }

  get state(): State {
    return this.#state;
  }

  /** Something has happened. It is looked at on the next turn, with the time of now. */
  post(event: Event): void {
    this.#queue.push({ at: performance.now(), event });
    this.wake();
  }

  wake(): void {
    this.#nextTurn ??= setImmediate(() => this.#turn());
  }

  #turn(): void {
    this.#nextTurn = null;
    if (this.#alarm !== null) clearTimeout(this.#alarm);
    this.#alarm = null;

    try {
      for (let next = this.#queue.shift(); next !== undefined; next = this.#queue.shift()) {
        this.#apply(next.event, next.at);
      }
      const { actions, wakeAt } = plan(this.#state, performance.now());
      for (const action of actions) {
        this.#hooks.perform(action, this.#state);
        this.#apply({ kind: 'done', action }, performance.now());
      }
      if (actions.length > 0) this.wake();
      else if (wakeAt !== null) this.#sleepUntil(wakeAt);
    } catch (error) {
      // A listener of the user's threw, and what becomes of that is the user's affair. What was not
      // looked at yet is looked at on the next turn.
      this.wake();
      throw error;
    }
  }

  #apply(event: Event, at: Instant): void {
    const before = this.#state;
    this.#state = apply(before, { at, event });
    this.#hooks.changed(event, before, this.#state);
  }

  #sleepUntil(wakeAt: Instant): void {
    // Rounded up: a turn that comes a fraction of a millisecond early would find nothing to do.
    const delayMs = Math.ceil(Math.max(0, wakeAt - performance.now()));
    this.#alarm = setTimeout(() => this.wake(), Math.min(delayMs, TIMER_MAX_MS));
  }
}
