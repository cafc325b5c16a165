// attached.ts: a process's hold on shared memory, from its attachment to its exit path.
//
// One object for each attached process: made right after MainArea.attach(), left before detach().
// What is made of shared memory (structs, locks, segments, queues) is bound to it.

import type { Attachment } from '../native.ts';
import type { Activity } from './activity.ts';
import { AttachmentPort } from './attachment-port.ts';
import type { AttachedPort } from './port.ts';
import { ThisProcess } from './this-process.ts';

export class Attached {
  readonly attachment: Attachment;
  readonly port: AttachedPort;
  readonly process: ThisProcess;
  /** What it says of itself. */
  readonly activity: Activity;
  readonly #port: AttachmentPort;

  /** `slotCount`: of the postmaster's own word, not of shared memory's. */
  constructor(attachment: Attachment, slotCount: number, activity: Activity) {
    this.attachment = attachment;
    this.activity = activity;
    this.#port = new AttachmentPort(attachment, slotCount);
    this.port = this.#port;
    this.process = new ThisProcess(this.#port);
  }

  /**
   * The exit path: waits end, locks are released, segments detach with their callbacks, and the
   * queues in them. All of it is done; the first thing that went wrong is thrown then.
   */
  leave(): void {
    try {
      this.process.leave();
    } finally {
      this.#port.close();
      this.attachment.end();
    }
  }
}
