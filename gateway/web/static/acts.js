// The acts that a session offers: what an auditor would miss comes first.

import { ask } from "./asking.js";
import { nowMs, timeOf } from "./clock.js";
import { el } from "./dom.js";
import { send } from "./sending.js";
import { t, word } from "./texts.js";

const may = new Set((document.body.dataset.may ?? "").split(" "));
const AGENTS = ["chemo", "biologic_under_chemo_admin", "hydration", "flush", "ambulatory_pump"];
const NOTES = ["refitted", "hair", "headache", "cold", "stopped-by-patient", "machine-changed"];
const ROLES = ["nurse", "charge", "biomed", "admin"];
const WHY = {
  finalise: ["complete"],
  explain: ["no-chemotherapy", "trial", "withdrew", "charged-elsewhere"],
  "lift-hold": ["in-chart", "on-paper"],
  "decide-correction": ["chart-right", "charge-right"],
  reassign: ["wrong-patient"],
  "work-done": ["settled-in-ehr"],
  resend: ["settled-in-ehr"],
  swap: ["faulty", "calibration"],
  "swap-back": ["repaired"],
};
const ENDED = /^(infusion_ended|infusion_end_corrected)$/;

/** The buttons for this session, of those that the person may do. */
export function offered(answer) {
  const { session } = answer;
  const token = session.token;
  const missing = new Set(session.missing);
  const found = [];
  const offer = (act, text, does, urgent = false) => may.has(act) && found.push({ urgent, button: button(text, does, urgent) });

  if (!session.bound) offer("bind", t("act.bind"), () => bind(token), true);
  offer("prepared", t("act.prepared"), () => tell(t("act.prepared"), "prepared", token, at()), missing.has("preparation"));
  offer("order-checked", t("act.order-found"), () => tell(t("act.order-found"), "order-checked", token, { ...at(), found: true }), missing.has("order"));
  if (missing.has("order")) offer("order-checked", t("act.no-order"), () => tell(t("act.no-order"), "order-checked", token, { ...at(), found: false }));
  offer("tolerance", t("act.tolerance-ok"), () => tolerance(token, "ok"), missing.has("tolerance-check"));
  offer("tolerance", t("act.tolerance-concern"), () => concern(token));
  offer("cap-id", t("act.cap-id"), () => capId(token), missing.has("cap-identifier"));
  for (const minutes of [0, 5, 10, 15]) {
    const text = minutes ? t("act.infusion-ended-ago", { minutes }) : t("act.infusion-ended-now");
    offer("infusion-ended", text, () => infusionEnded(answer, text, at(minutes).at), missing.has("infusion-end"));
  }
  offer("infusion-ended", t("act.infusion-ended-at"), () => infusionEndedAt(answer));
  offer("cap-removed", t("act.cap-removed"), () => tell(t("act.cap-removed"), "cap-removed", token, { ...at(), cap: answer.cap }));
  offer("note", t("act.note"), () => note(token));
  offer("finalise", t("act.finalise"), () => decide("act.finalise", "finalise", token, {}));
  offer("explain", t("act.explain"), () => decide("act.explain", "explain", token, {}));
  if (session.held.length) offer("lift-hold", t("act.lift-hold"), () => lift(token, session.held));
  for (const each of session.corrections) {
    for (const approve of [true, false]) {
      const key = approve ? "act.approve" : "act.refuse";
      offer("decide-correction", t(key, { key: each.charge }), () => decide(key, "decide-correction", token, { charge: each.charge, approve }, { key: each.charge }), true);
    }
  }
  if (session.bound) offer("release", t("act.release"), () => send(t("act.release"), { act: "release", place: token, reason: t("act.as-seen") }));
  if (session.bound) offer("reassign", t("act.reassign"), () => reassign(token));
  offer("swap", t("act.swap"), () => swap(session.unit));
  offer("swap-back", t("act.swap-back"), () => swapBack(session.unit));
  return found.sort((a, b) => Number(b.urgent) - Number(a.urgent)).map((each) => each.button);
}

/** A button that asks why and then tells the act; for the list of what waits. */
export async function decide(key, act, token, fields, words = {}) {
  const said = await ask(t(key, words), [why(act)]);
  if (said) send(t(key, words), { act, token, ...fields, ...said });
}

/** Close an item of the work list. */
export async function workDone(item) {
  const said = await ask(t("act.work-done"), [why("work-done")]);
  if (said) send(t("act.work-done"), { act: "work-done", item, ...said });
}

/** Tell who sees to what waits: asked for, or nobody any more. */
export async function assign(what, to) {
  if (to === null) return send(t("act.unassign"), { act: "assign", what, reason: t("act.from-list") });
  const suggest = [document.body.dataset.name, ...ROLES].map((each) => [each, word("role", each)]);
  const said = await ask(t("act.assign"), [{ name: "to", label: t("act.to-whom"), suggest }]);
  if (said) send(t("act.assign"), { act: "assign", what, ...said, reason: t("act.from-list") });
}

/** Order a message to be sent to the engine again. */
export async function sendAgain(key) {
  const said = await ask(t("act.resend", { key }), [why("resend")]);
  if (said) send(t("act.resend", { key }), { act: "resend", key, ...said });
}

/** Have the gateway record what goes over a line for a minute. */
export function capture(line) {
  send(t("act.capture", { line }), { act: "capture", line });
}

/** Whether the person may do the act. */
export function mayDo(act) {
  return may.has(act);
}

export function button(text, does, urgent = false) {
  const made = el("button", { type: "button", class: urgent ? "urgent" : null }, text);
  made.addEventListener("click", does);
  return made;
}

function at(minutesAgo = 0) {
  return { at: new Date(nowMs() - minutesAgo * 60000).toISOString() };
}

/** The field for an act's reason: free, with the usual ones to touch. */
function why(act) {
  const suggest = WHY[act].map((each) => [word("reason-of", each), word("reason-of", each)]);
  return { name: "reason", label: t("act.why"), maxlength: 200, suggest };
}

function tell(label, act, token, fields) {
  send(label, { act, token, ...fields, reason: t("act.as-seen") });
}

/** The field for a wristband, with today's visits to touch, those first that no cap serves. */
function visit() {
  return { name: "visit", label: t("act.scan-visit"), suggest: visits() };
}

async function visits() {
  const got = await fetch("/api/visits").catch(() => null);
  if (!got?.ok) return []; // without them one scans
  const answer = await got.json();
  return answer.visits.map((each) => [each.visit, visitText(each)]);
}

function visitText({ visit, mrn, heard_at: heardAt, chair, treated }) {
  const place = chair ? t("visit.at-chair", { chair }) : treated && t("visit.treated");
  const known = t("visit.heard", { at: timeOf(Date.parse(heardAt)) });
  return [visit, mrn && t("session.mrn", { mrn }), place || known].filter(Boolean).join(" · ");
}

async function bind(token) {
  const said = await ask(t("act.bind"), [visit()]);
  if (said) send(t("act.bind"), { act: "bind", place: token, ...said, reason: t("act.scanned") });
}

/** Ask for a wristband, then for a cap or chair. */
export async function bindAtChair() {
  const fields = [visit(), { name: "place", label: t("act.scan-place") }];
  const said = await ask(t("act.bind-at"), fields);
  if (said) send(t("act.bind"), { act: "bind", ...said, reason: t("act.scanned") });
}

async function reassign(token) {
  const said = await ask(t("act.reassign"), [visit(), why("reassign")]);
  if (said) send(t("act.reassign"), { act: "reassign", token, ...said });
}

function tolerance(token, finding) {
  tell(t("act.tolerance-ok"), "tolerance", token, { ...at(), vital_signs: finding, comfort: finding, scalp: finding });
}

async function concern(token) {
  const choices = ["comfort", "scalp", "vital_signs"].map((each) => [each, word("tolerance", each)]);
  const when = at();
  const said = await ask(t("act.tolerance-concern"), [{ name: "what", label: t("act.what-concerns"), choices }]);
  if (said) tell(t("act.tolerance-concern"), "tolerance", token, { ...when, [said.what]: "concern" });
}

async function capId(token) {
  const when = at();
  const said = await ask(t("act.cap-id"), [{ name: "cap_id", label: t("act.scan-cap") }]);
  if (said) tell(t("act.cap-id"), "cap-id", token, { ...when, ...said });
}

async function note(token) {
  const when = at();
  const said = await ask(t("act.note"), [{ name: "text", label: t("act.which-note"), choices: NOTES.map((each) => [word("note", each), word("note", each)]) }]);
  if (said) tell(t("act.note"), "note", token, { ...when, ...said });
}

async function lift(token, held) {
  const said = await ask(t("act.lift-hold"), [{ name: "hold", label: t("act.which-hold"), choices: held.map((each) => [each, word("held", each)]) }, why("lift-hold")]);
  if (said) send(t("act.lift-hold"), { act: "lift-hold", token, holds: [said.hold], reason: said.reason });
}

/** Put a loaner in the unit's place; its address is asked for, as it is often another. */
export async function swap(unit) {
  const address = { name: "unit_id", label: t("act.loaner-address"), kind: "number", optional: true };
  const said = await ask(t("act.swap"), [{ name: "loaner", label: t("act.scan-loaner") }, address, why("swap")]);
  if (!said) return;
  const { unit_id: at, ...fields } = said;
  send(t("act.swap"), { act: "swap", unit, ...fields, ...(at ? { unit_id: Number(at) } : {}) });
}

/** The unit is at its place again. */
export async function swapBack(unit) {
  const said = await ask(t("act.swap-back"), [{ name: "unit", label: t("act.scan-unit"), value: unit }, why("swap-back")]);
  if (said) send(t("act.swap-back"), { act: "swap-back", ...said });
}

async function infusionEndedAt(answer) {
  const said = await ask(t("act.infusion-ended-at"), [{ name: "at", label: t("act.clock"), kind: "time" }]);
  if (said) infusionEnded(answer, t("act.infusion-ended-at"), said.at);
}

/** An end of the order that is known, or of one that a person names; an end that is known already is corrected. */
async function infusionEnded(answer, label, when) {
  const facts = answer.session.facts;
  const orders = [...new Set(facts.filter((fact) => fact.order && fact.fact.startsWith("infusion")).map((fact) => fact.order))];
  let order = { order: orders[0] };
  if (orders.length !== 1) {
    const agents = AGENTS.map((each) => [each, word("agent", each)]);
    const fields = orders.length
      ? [{ name: "order", label: t("act.which-order"), choices: orders.map((each) => [each, each]) }]
      : [{ name: "order", label: t("act.scan-order") }, { name: "agent", label: t("act.which-agent"), choices: agents }];
    order = await ask(label, fields);
    if (!order) return;
  }
  const correct = facts.some((fact) => fact.order === order.order && ENDED.test(fact.fact));
  tell(label, "infusion-ended", answer.session.token, { at: when, ...order, ...(correct ? { correct } : {}) });
}
