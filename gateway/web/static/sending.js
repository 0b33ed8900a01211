// Acts on their way: ten seconds in which one may be taken back, then what became of it. Nothing waits unseen: what did
// not arrive stays as "not sent" until a person sends it again or gives it up, also over a reload.

import { moment, nowMs, sinceMs, timeOf } from "./clock.js";
import { el, put } from "./dom.js";
import { formHeaders } from "./person.js";
import { t } from "./texts.js";

const UNDO_S = 10;
const TIMEOUT_MS = 15000;
const LOST = "capgate-not-sent"; // of each: what it was and when, no patient
const waiting = new Set();
let told = () => {};

/** Call `listener` after each act that was recorded. */
export function onTold(listener) {
  told = listener;
}

/** Send an act in ten seconds, unless it is taken back. `label` says what it is; its time is now unless it has one.
 *  A second touch while the same waits tells nothing more. */
export function send(label, fields) {
  const same = JSON.stringify({ ...fields, at: null });
  if ([...waiting].some((each) => each.same === same && !each.sent)) return;
  const act = { label, same, fields, key: crypto.randomUUID(), at: timeOf(nowMs()), began: moment() };
  act.item = el("li", { class: "act" }, (act.text = el("span")), (act.buttons = el("span", { class: "buttons" })));
  document.getElementById("sending").append(act.item);
  act.timer = setInterval(() => leftS(act) > 0 ? say(act) : post(act), 1000);
  waiting.add(act);
  choose(act, [t("act.undo"), () => drop(act)]);
  say(act);
}

function say(act) {
  put(act.text, t("act.waiting", { what: act.label, at: act.at, seconds: leftS(act) }));
}

// By the time that passed: a tablet that sleeps runs its timers seldom or not at all.
function leftS(act) {
  return UNDO_S - Math.floor(sinceMs(act.began) / 1000);
}

function choose(act, ...choices) {
  act.buttons.replaceChildren(...choices.map(([text, does]) => {
    const button = el("button", { type: "button" }, text);
    button.addEventListener("click", does);
    return button;
  }));
}

function drop(act) {
  clearInterval(act.timer);
  waiting.delete(act);
  act.item.remove();
  remember();
}

function post(act) {
  clearInterval(act.timer);
  act.sent = deliver(act);
  return act.sent;
}

async function deliver(act) {
  choose(act);
  put(act.text, t("act.sending", { what: act.label, at: act.at }));
  let reason;
  try {
    const answer = await fetch("/acts", {
      method: "POST", headers: { ...formHeaders(), "idempotency-key": act.key }, body: JSON.stringify(act.fields),
      signal: AbortSignal.timeout(TIMEOUT_MS), keepalive: true,
    });
    const said = await answer.json();
    if (said.ok) {
      waiting.delete(act);
      remember();
      act.item.classList.remove("failed");
      act.item.classList.add("told");
      put(act.text, t("act.told", { what: act.label, at: act.at }));
      setTimeout(() => act.item.remove(), 15000);
      told();
      return;
    }
    reason = answer.status === 401 ? t("act.signed-out") : `${said.error}; ${said.accepted}`;
  } catch {
    reason = t("act.no-answer");
  }
  act.failed = true;
  act.item.classList.add("failed");
  put(act.text, t("act.not-sent", { what: act.label, at: act.at, reason }));
  choose(act, [t("act.again"), () => post(act)], [t("act.give-up"), () => drop(act)]);
  remember();
}

function remember(leaving = false) {
  const left = [...waiting].filter((act) => act.failed || leaving).map(({ label, at }) => ({ label, at }));
  if (left.length) sessionStorage.setItem(LOST, JSON.stringify(left));
  else sessionStorage.removeItem(LOST);
}

// A page that goes sends at once what still waits; whether it arrived, the next page cannot know.
addEventListener("pagehide", () => {
  for (const act of waiting) if (!act.sent && !act.failed) post(act);
  remember(true);
});

// Who signs out stays signed in until it has arrived.
document.querySelector("form.person")?.addEventListener("submit", async (event) => {
  event.preventDefault();
  await Promise.all([...waiting].map((act) => act.sent ?? (act.failed || post(act))));
  event.target.submit();
});

// What an earlier page could not send or did not hear of.
for (const { label, at } of JSON.parse(sessionStorage.getItem(LOST) ?? "[]")) {
  const act = { label, at };
  act.item = el("li", { class: "act failed" }, el("span", {}, t("act.lost", { what: label, at })), (act.buttons = el("span", { class: "buttons" })));
  document.getElementById("sending").append(act.item);
  act.failed = true;
  waiting.add(act);
  choose(act, [t("act.give-up"), () => drop(act)]);
}
