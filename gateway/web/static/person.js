// Who is signed in at this browser, and the end of that: after some time without a touch the page is loaded anew,
// so that nothing of a patient stays on a screen that somebody left.

const TOLD_EVERY_MS = 20000;
const { idle, formToken } = document.body.dataset;
let touchedAt = performance.now();
let toldAt = performance.now();

/** What each request that tells something carries. */
export function formHeaders() {
  return { "content-type": "application/json", "x-form-token": formToken ?? "" };
}

export const signedIn = idle !== undefined;

if (signedIn) {
  for (const kind of ["pointerdown", "keydown"]) addEventListener(kind, touched, { passive: true });
  setInterval(() => performance.now() - touchedAt > Number(idle) * 1000 && location.reload(), 1000);
}

function touched() {
  touchedAt = performance.now();
  if (touchedAt - toldAt > TOLD_EVERY_MS) {
    toldAt = touchedAt;
    fetch("/touch", { method: "POST", headers: formHeaders(), body: "{}" });
  }
}
