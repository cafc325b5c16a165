// story.ts: what has happened so far, for the screen and for the summary: it hears the
// postmaster's events itself, and is told the rest.

import type { Exit, Postmaster, WorkerInfo } from 'bgworker';
import type { Screen } from './screen.ts';

/** What is known of one worker. */
export interface Tally {
  /** How often its process was started. */
  starts: number;
  /** The total that it found. */
  before: number;
  inserted: number;
  total: number;
}

export class Story {
  readonly tallies = new Map<string, Tally>();
  readonly #postmaster: Postmaster;
  readonly #screen: Screen;

  constructor(postmaster: Postmaster, screen: Screen) {
    this.#postmaster = postmaster;
    this.#screen = screen;
    postmaster.on('phase', (phase) => this.tell(`phase ${phase}`));
    postmaster.on('start', (worker) => this.#started(worker));
    postmaster.on('exit', (worker, exit, pid) => this.#exited(worker, exit, pid));
    postmaster.on('crash', () => this.tell('a crash: everything with shared memory is ended'));
    this.tell(`phase ${postmaster.phase}`);
  }

  tell(text: string): void {
    this.#screen.say(text);
    this.refresh();
  }

  refresh(): void {
    const infos = new Map(this.#postmaster.workers().map((info) => [info.name, info]));
    for (const name of infos.keys()) this.tallyOf(name);
    const rows = [...this.tallies].map(([name, tally]) => {
      const { pid = null, standing = 'gone' } = infos.get(name) ?? {};
      return { name, pid, standing, ...tally };
    });
    this.#screen.show({ phase: this.#postmaster.phase, rows });
  }

  tallyOf(worker: string): Tally {
    let tally = this.tallies.get(worker);
    if (tally === undefined) {
      tally = { starts: 0, before: 0, inserted: 0, total: 0 };
      this.tallies.set(worker, tally);
    }
    return tally;
  }

  #started({ name, pid }: WorkerInfo): void {
    const tally = this.tallyOf(name);
    tally.starts += 1;
    this.tell(`${name} ${tally.starts === 1 ? 'started' : 'restarted'}, pid ${pid}`);
  }

  #exited({ name, standing, registration }: WorkerInfo, exit: Exit, pid: number): void {
    const next = standing === 'due' ? `, will be restarted in ${registration.restartTime} s` : '';
    this.tell(`${name} (pid ${pid}) ${describe(exit)}${next}`);
  }
}

function describe({ cause }: Exit): string {
  switch (cause.kind) {
    case 'code':
      return `left with exit code ${cause.code}`;
    case 'signal':
      return `was ended by ${cause.signal}`;
    case 'lost':
      return 'ended with the launcher';
  }
}
