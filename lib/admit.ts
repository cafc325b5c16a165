// admit.ts: which of the workers that the preload modules registered become workers.
//
// A bad static registration is logged and dropped, as PostgreSQL does; so is each that finds no
// slot. None of them keeps the others from starting.

import type { Logger } from './log.ts';
import * as messages from './messages.ts';
import type { StaticWorker } from './model/event.ts';
import { checkRegistration } from './register/check.ts';
import type { AnnouncedWorker } from './travel/notes.ts';

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
