// Who is signed in at this browser, and the end of that: after some time without a touch the page is loaded anew,
// so that nothing of a patient stays on a screen that somebody left.

import { moment, sinceMs } from "./clock.js";

const TOLD_EVERY_MS = 20000;
const { idle, formToken } = document.body.dataset;
let touchedAt = moment();
let toldAt = touchedAt;

/** What each request that tells something carries. */
export function formHeaders() {
  return { "content-type": "application/json", "x-form-token": formToken ?? "" };
}

export const signedIn = idle !== undefined;

if (signedIn) {
  for (const kind of ["pointerdown", "keydown"]) addEventListener(kind, touched, { passive: true });
  setInterval(() => leftAlone() && location.reload(), 1000);
}

function leftAlone() {
  return sinceMs(touchedAt) > Number(idle) * 1000;
}

function touched() {
  if (leftAlone()) return; // the touch that wakes a tablet comes too late
  touchedAt = moment();
  if (sinceMs(toldAt) > TOLD_EVERY_MS) {
    toldAt = touchedAt;
    const told = fetch("/touch", { method: "POST", headers: formHeaders(), body: "{}" });
    told.catch(() => {}); // the page says itself that it is not live
  }
}
