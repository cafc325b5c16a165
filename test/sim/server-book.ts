// server-book.ts: the followed server by what was heard of it, for the rules: is it there, how often
// was it lost, and whom does that concern.

import type { Event } from '../../lib/model/event.ts';
import type { Registration } from '../../lib/model/registration.ts';
import type { Begin, Limits } from '../../lib/model/state.ts';

export class ServerBook {
  readonly #limits: Limits;
  readonly #follows: Begin['follows'];
  #isAccepted = false;
  #losses = 0;

  constructor(limits: Limits, follows: Begin['follows']) {
    this.#limits = limits;
    this.#follows = follows;
  }

  /** How often it has been lost. */
  get losses(): number {
    return this.#losses;
  }

  /** There is one, and it lets nobody in. */
  get isAway(): boolean {
    return this.#follows !== 'nothing' && !this.#isAccepted;
  }

  /** Gives whether it is back, and who waits for it is to be hurried. */
  heard(event: Event): boolean {
    switch (event.kind) {
      case 'database':
        return this.#accepts(event.state === 'standby' || event.state === 'primary');
      case 'server-exited':
      case 'server-failed':
        return this.#accepts(false);
      default:
        return false;
    }
  }

  /** Of one that was forked after so many losses: is it to be ended with its server? */
  isLostTo({ flags }: Pick<Registration, 'flags'>, losses: number): boolean {
    return this.#limits.restartOnServerLoss && isConnected({ flags }) && losses < this.#losses;
  }

  #accepts(does: boolean): boolean {
    if (this.#isAccepted && !does) this.#losses++;
    const isBack = !this.#isAccepted && does && this.#losses > 0;
    this.#isAccepted = does;
    return isBack && this.#limits.restartOnServerLoss;
  }
}

export function isConnected({ flags }: Pick<Registration, 'flags'>): boolean {
  return flags.includes('BACKEND_DATABASE_CONNECTION');
}
