// screen.ts: what `npm start` shows. On a terminal a table that is drawn again in place; elsewhere
// (a pipe, a file) a line for each thing that happens. Where it comes from they do not know.

import { styleText } from 'node:util';

/** A worker as a row of the table. */
export interface Row {
  readonly name: string;
  readonly pid: number | null;
  readonly starts: number;
  readonly standing: string;
  readonly inserted: number;
  readonly total: number;
}

export interface View {
  readonly phase: string;
  readonly rows: readonly Row[];
}

export interface Screen {
  /** Something has happened. */
  say(text: string): void;
  /** How things are now. */
  show(view: View): void;
}

export function createScreen(out: NodeJS.WriteStream): Screen {
  return out.isTTY ? new Table(out) : new Lines(out);
}

class Lines implements Screen {
  readonly #out: NodeJS.WritableStream;
  #totals = '';

  constructor(out: NodeJS.WritableStream) {
    this.#out = out;
  }

  say(text: string): void {
    this.#out.write(`${timestamp()}  ${text}\n`);
  }

  show({ rows }: View): void {
    const totals = rows.map(({ name, total }) => `${name}: ${total}`).join(', ');
    if (totals !== this.#totals && rows.some(({ total }) => total > 0)) {
      this.say(`totals read back: ${totals}`);
      this.#totals = totals;
    }
  }
}

const EVENTS_SHOWN = 10;
const ROWS_AROUND = 6;

class Table implements Screen {
  readonly #out: NodeJS.WriteStream;
  readonly #events: string[] = [];
  #view: View = { phase: 'INIT', rows: [] };
  #drawnLines = 0;

  constructor(out: NodeJS.WriteStream) {
    this.#out = out;
  }

  say(text: string): void {
    this.#events.push(`${timestamp()}  ${text}`);
    this.#draw();
  }

  show(view: View): void {
    this.#view = view;
    this.#draw();
  }

  #draw(): void {
    const { phase, rows } = this.#view;
    // A terminal that does not know its size says 0.
    // A line that is wrapped, or scrolled away, would be missed by the next drawing.
    const room = Math.max(1, (this.#out.rows || 24) - EVENTS_SHOWN - ROWS_AROUND);
    const lines = [
      this.#paint('bold', `worker_spi on bgworker, phase ${phase}`),
      this.#paint('dim', cells(['worker', 'pid', 'starts', 'standing', 'inserted', 'total'])),
      ...rows.slice(0, room).map((row) => this.#row(row)),
      ...(rows.length > room ? [`… and ${rows.length - room} more`] : []),
      '',
      ...this.#events.slice(-EVENTS_SHOWN).map((text) => this.#paint('reset', text)),
    ];
    // Up to the first line of the last drawing, and clear from there.
    const back = this.#drawnLines > 0 ? `\x1b[${this.#drawnLines}F\x1b[J` : '';
    this.#out.write(`${back}${lines.join('\n')}\n`);
    this.#drawnLines = lines.length;
  }

  #row({ name, pid, starts, standing, inserted, total }: Row): string {
    const text = cells([name, pid ?? '-', starts, standing, inserted, total]);
    return this.#paint(standing === 'running' ? 'green' : 'yellow', text);
  }

  #paint(style: Parameters<typeof styleText>[0], text: string): string {
    const fitting = text.slice(0, this.#out.columns || 80);
    return this.#out.hasColors() ? styleText(style, fitting) : fitting;
  }
}

function cells(values: readonly (string | number)[]): string {
  const [first, ...others] = values.map(String);
  return `${first?.padEnd(16)}${others.map((value) => value.padStart(10)).join('')}`;
}

/** Seconds since the program started. */
function timestamp(): string {
  return `${(performance.now() / 1000).toFixed(3).padStart(7)} s`;
}
