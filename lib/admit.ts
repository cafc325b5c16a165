// admit.ts: which of the workers that the preload modules registered become workers.
//
// A bad static registration is logged and dropped, as PostgreSQL does; so is each that finds no
// slot. None of them keeps the others from starting.

import { BgworkerError } from './errors.ts';
import { messages as listening } from './listen/messages.ts';
import type { Logger } from './log.ts';
import * as messages from './messages.ts';
import type { ClientEvent } from './model/clients.ts';
import type { StaticWorker } from './model/event.ts';
import { checkRegistration } from './register/check.ts';
import { checkBackend } from './register/check-backend.ts';
import type { AnnouncedBackend, AnnouncedWorker } from './travel/notes.ts';

export function admit(
  announced: readonly AnnouncedWorker[],
  slotCount: number,
  log: Logger,
): StaticWorker[] {
  const admitted: StaticWorker[] = [];
  for (const [staticIndex, { options, argProblem }] of announced.entries()) {
    try {
      const registration = checkRegistration(options, { kind: 'static', argProblem });
      if (admitted.length < slotCount) {
        log.debug(messages.registering(registration));
        admitted.push({ staticIndex, registration });
      } else {
        log.error(messages.tooManyWorkers(registration.name, slotCount));
      }
    } catch (error) {
      log.error((error as Error).message);
    }
  }
  return admitted;
}

/**
 * How connections are to be served, as an event before the launcher's own. Who listens and could
 * serve nobody does not start; without the option `listen` a backend is no more than a remark.
 */
export function admitBackend(
  announced: AnnouncedBackend | null,
  isListening: boolean,
  log: Logger,
): ClientEvent[] {
  if (!isListening) {
    if (announced !== null) log.warn(messages.nowhereToListen);
    return [];
  }
  try {
    if (announced === null) {
      throw new BgworkerError('ERR_INVALID_REGISTRATION', listening.nobodyServes);
    }
    const registration = checkBackend(announced.main, announced.options);
    return [{ kind: 'backend-announced', registration }];
  } catch (error) {
    return [{ kind: 'listen-failed', error: error as Error }];
  }
}
