// options.ts: every option of the command line, once. A letter means the same to all commands, so
// that options may stand before the command, as pg_ctl lets them.

export interface OptionForm {
  readonly short: string | null;
  /** What its value is called in the help; null: it takes none. */
  readonly value: string | null;
}

export const OPTIONS = {
  pgdata: { short: 'D', value: 'DIR' },
  config: { short: 'c', value: 'FILE' },
  log: { short: 'l', value: 'FILE' },
  foreground: { short: null, value: null },
  mode: { short: 'm', value: 'MODE' },
  silent: { short: 's', value: null },
  timeout: { short: 't', value: 'SECONDS' },
  wait: { short: 'w', value: null },
  'no-wait': { short: 'W', value: null },
  name: { short: null, value: 'NAME' },
  type: { short: null, value: 'TYPE' },
  function: { short: null, value: 'NAME' },
  arg: { short: null, value: 'JSON' },
  flag: { short: null, value: 'FLAG' },
  'restart-time': { short: null, value: 'SECONDS' },
  database: { short: null, value: 'NAME' },
  user: { short: null, value: 'NAME' },
  help: { short: 'h', value: null },
  version: { short: 'V', value: null },
} as const satisfies Record<string, OptionForm>;

export type OptionName = keyof typeof OPTIONS;

/** What all commands take. */
export const COMMON_OPTIONS: readonly OptionName[] = ['pgdata', 'silent', 'help', 'version'];

/** A stop ends all workers in order, see postmaster.ts; the names are pg_ctl's. */
export const STOP_MODES = ['smart', 'fast', 'immediate'] as const;
export type StopMode = (typeof STOP_MODES)[number];

export const DEFAULT_TIMEOUT_S = 60;
export const TIMEOUT_MAX_S = 86_400;

/** An option as people write it: '-D, --pgdata DIR'. */
export function spelled(name: OptionName): string {
  const { short, value }: OptionForm = OPTIONS[name];
  return `${short === null ? '    ' : `-${short}, `}--${name}${value === null ? '' : ` ${value}`}`;
}
