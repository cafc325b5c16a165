// shown-activity.ts: what a process says of itself, as it is shown to the outside.

/** Any text, but one that can be shown. */
export interface ShownActivity {
  /** Where its connection goes; null: it says nothing of one. */
  readonly database: string | null;
  /** What it is doing: `worker.activity`, or the statement that runs. */
  readonly activity: string | null;
}

export const SILENT: ShownActivity = { database: null, activity: null };
