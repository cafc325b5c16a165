// play.ts: what `npm start` plays through while it runs: deltas are inserted, totals read back, and
// every few seconds a worker fails, and the naptime changes; once, one more worker is launched.

import { setTimeout as sleep } from 'node:timers/promises';
import type { Postmaster } from 'bgworker';
import { insertDelta, readTotals, terminateSession } from './client.ts';
import { DYNAMIC_PLACE, launchWorker } from './launch.ts';
import { type Place, writeSettings } from './settings.ts';
import type { Story } from './story.ts';

export interface Stage {
  readonly postmaster: Postmaster;
  /** One more once a worker is launched for it. */
  readonly places: Place[];
  /** The file with the naptime. */
  readonly settings: string;
  readonly story: Story;
}

const ROUND_MS = 500;
const isTimeToLaunch = (round: number) => round === 5;
/** Every 4 seconds, the first time after 2. */
const isTimeToFail = (round: number) => round % 8 === 4;
const isTimeToReload = (round: number) => round % 8 === 6;
const NAPTIMES_S = [1, 0.5];
/** How long the last deltas may take to be folded; a worker may have to be restarted for it. */
const SETTLE_MS = 5_000;

/** Plays until there is enough. Gives whether in the end each total is what was inserted. */
export async function play(stage: Stage, enough: AbortSignal): Promise<boolean> {
  for (let round = 1; !enough.aborted; round++) {
    try {
      await playRound(stage, round);
    } catch (error) {
      stage.story.tell(`the database did not answer: ${(error as Error).message}`);
    }
    await sleep(ROUND_MS, undefined, { signal: enough }).catch(() => {}); // aborted: enough
  }
  return settle(stage);
}

async function playRound(stage: Stage, round: number): Promise<void> {
  const { postmaster, places, settings, story } = stage;
  for (const { worker, ...place } of await readTotals(postmaster, places)) {
    const tally = story.tallyOf(worker);
    // What an earlier run left in the table is none of ours.
    if (tally.inserted === 0) tally.before = place.total + place.waiting;
    const value = 1 + Math.floor(Math.random() * 10);
    await insertDelta(postmaster, { worker, ...place }, value);
    Object.assign(tally, { total: place.total, inserted: tally.inserted + value });
  }
  story.refresh();

  if (isTimeToLaunch(round)) {
    const pid = await launchWorker(postmaster, DYNAMIC_PLACE, settings);
    places.push(DYNAMIC_PLACE);
    story.tell(`an administrator launches ${DYNAMIC_PLACE.worker}, pid ${pid}`);
  }
  const victim = places[Math.floor(round / 8) % places.length];
  if (isTimeToFail(round) && victim !== undefined) {
    story.tell(`an administrator ends the database session of ${victim.worker}`);
    await terminateSession(postmaster, victim);
  }
  if (isTimeToReload(round)) {
    const naptime = NAPTIMES_S[Math.ceil(round / 8) % NAPTIMES_S.length] ?? 1;
    story.tell(`an administrator sets the naptime to ${naptime} s and reloads`);
    writeSettings(settings, { naptime });
    postmaster.reload();
  }
}

async function settle({ postmaster, places, story }: Stage): Promise<boolean> {
  const deadline = performance.now() + SETTLE_MS;
  postmaster.reload(); // A signal sets the latch: those who nap look at once.
  for (;;) {
    const counted = await readTotals(postmaster, places);
    for (const { worker, total } of counted) story.tallyOf(worker).total = total;
    story.refresh();
    const isSettled = places.every(({ worker }) => {
      const { before, inserted, total } = story.tallyOf(worker);
      return total === before + inserted;
    });
    if (isSettled || performance.now() > deadline) return isSettled;
    await sleep(20);
  }
}
