// phase.ts: the phases of the postmaster, PostgreSQL's own, in the order in which they are passed.
//
// A phase gates what may start; it never stops a worker that runs. Who moves the phases from
// STARTUP to RUN is the database that is followed, or the startup process, if there is either; who
// moves them from there is shutdown.

/** The postmaster's phases (PMState). Kept: those in which this program has something to do. */
export const PHASES = [
  'INIT', //              the launcher loads the preload modules
  'STARTUP', //           the database is not reachable yet
  'RECOVERY', //          it recovers and does not accept connections yet
  'HOT_STANDBY', //       it accepts read-only connections
  'RUN', //               it is out of recovery
  'STOP_BACKENDS', //     the workers are being told to end
  'WAIT_BACKENDS', //     they were told; the last one has not left yet
  'WAIT_XLOG_SHUTDOWN', // the embedded server writes its shutdown checkpoint
  'NO_CHILDREN', //       nothing of ours runs any more
] as const;

export type Phase = (typeof PHASES)[number];

/** When a worker may start for the first time, and again after each exit (BgWorkerStartTime). */
export const START_TIMES = ['PostmasterStart', 'ConsistentState', 'RecoveryFinished'] as const;

export type StartTime = (typeof START_TIMES)[number];

/** The earliest phase that lets a start time through; all later ones up to RUN do, too. */
export const FIRST_PHASE: Readonly<Record<StartTime, Phase>> = {
  PostmasterStart: 'INIT',
  ConsistentState: 'HOT_STANDBY',
  RecoveryFinished: 'RUN',
};

/** May a worker of this start time be started in this phase (bgworker_should_start_now)? */
export function mayStart(startTime: StartTime, phase: Phase): boolean {
  const now = PHASES.indexOf(phase);
  return now <= PHASES.indexOf('RUN') && now >= PHASES.indexOf(FIRST_PHASE[startTime]);
}

/** Is the postmaster on its way up or up, rather than on its way down? */
export function isNormal(phase: Phase): boolean {
  return PHASES.indexOf(phase) <= PHASES.indexOf('RUN');
}

/** What is known of the database whose state the phases follow; or of the startup process's work. */
export type DatabaseState = 'unreachable' | 'recovering' | 'standby' | 'primary';

/** Does it let anybody in? */
export function accepts(database: DatabaseState): boolean {
  return database === 'standby' || database === 'primary';
}

/** The phase that a database's state stands for. */
export const PHASE_OF_DATABASE: Readonly<Record<DatabaseState, Phase>> = {
  unreachable: 'STARTUP',
  recovering: 'RECOVERY',
  standby: 'HOT_STANDBY',
  primary: 'RUN',
};
