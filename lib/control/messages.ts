// messages.ts: the sentences of the control socket, as its server says them.

export function notListening(path: string, reason: string): string {
  return `could not listen on the control socket "${path}": ${reason}`;
}

export function tooManyClients(limit: number): string {
  return `there are ${limit} clients already; who comes now is turned away until some have left`;
}

export function cutOff(why: string): string {
  return `control socket: a client is cut off because ${why}`;
}

export const otherInstance =
  'it belongs to another postmaster, one that was in this data directory before';

export function notAFrame(problem: string): string {
  return `what it sent is no message (${problem})`;
}

export function notARequest(problem: string): string {
  return `it asked for nothing that there is: ${problem}`;
}

export function tooSlow(seconds: number): string {
  return `its message was not continued within ${seconds} s`;
}

export function doesNotRead(bytes: number): string {
  return `it does not read its answers (more than ${bytes} bytes are waiting)`;
}

export function noRoomForArgument(reason: string): string {
  return `there is no room for its argument: ${reason}`;
}

export const notJson = 'the header is no JSON object';
export const noId = 'id is no whole number';
export const noHandle = 'slot and generation are no handle';
export const noInstance = 'instance is no text';
export const bodyUnwanted = 'only a registration has a body';

export function noSuchRequest(what: string): string {
  return `do is ${what}`;
}

export const tooEarly =
  'the postmaster is starting: workers can be registered once its preload modules are loaded';

export const tooLate = 'the postmaster has ended';
