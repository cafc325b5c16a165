// worker-messages.ts: the sentences of `bgworker ps`, `launch` and `terminate`.

export const noWorkers = 'no workers';

export function launched(name: string, handle: string, pid: number): string {
  return `background worker "${name}" started (handle: ${handle}, PID: ${pid})`;
}

export function registered(name: string, handle: string): string {
  return `background worker "${name}" registered (handle: ${handle})`;
}

export function notLaunched(name: string): string {
  return `background worker "${name}" was not started: it could not be, or the postmaster is shutting down`;
}

export function notLaunchedInTime(name: string, handle: string, seconds: number): string {
  return `background worker "${name}" was not started in time (${seconds} s); it stays registered (handle: ${handle})`;
}

export function terminating(name: string): string {
  return `background worker "${name}" terminating`;
}

export function terminated(name: string): string {
  return `background worker "${name}" terminated`;
}

export function doesNotEnd(name: string, pid: number | null, seconds: number): string {
  const process = pid === null ? '' : ` (PID: ${pid})`;
  return `background worker "${name}"${process} does not end; it was given ${seconds} s`;
}

export function noSuchWorker(word: string): string {
  return `there is no background worker "${word}"; "bgworker ps" lists those that there are`;
}

export function severalWorkers(word: string, handles: readonly string[]): string {
  return `${handles.length} background workers are called "${word}" (handles: ${handles.join(', ')}); name one by its handle`;
}

export function postmasterGone(reason: string): string {
  return `the postmaster does not answer: ${reason}`;
}
