// One session: where it stands, its line of time, what counts and why, and what a person tells of it.

import { offered } from "./acts.js";
import { span, timeOf } from "./clock.js";
import { columns, el, put, row, shape } from "./dom.js";
import { drawChart, drawLanes } from "./lanes.js";
import { onBoard, onSecond, start } from "./live.js";
import { signedIn } from "./person.js";
import { onTold } from "./sending.js";
import { t, word } from "./texts.js";
import { coming, lasting, secondPerson } from "./words.js";

const AGAIN_MS = 20000;
const MACHINE = /^(cooling_(started|stopped|paused|resumed)|unit_|fault_|device_)/;
const GATEWAY = /^(session_opened|gateway_hold|evidence_lost|clock_|rules_|work_raised|observed_|units_)/;
const token = location.pathname.split("/")[2];
const place = (id) => document.getElementById(id);
const head = {};
let answer = null;
let seen = "";

build();
onBoard((chairs) => {
  const mine = [...chairs.values()].find((chair) => chair.session?.token === token);
  const now = JSON.stringify([mine?.state, mine?.session]);
  if (now !== seen) load();
  seen = now;
});
onSecond(tick);
onTold(load);
setInterval(load, AGAIN_MS);
start();

function build() {
  for (const each of ["chair", "state", "clock", "count", "next", "patient"]) head[each] = el("span", { class: each });
  place("head").append(
    el("span", { class: "head" }, head.chair, head.state),
    el("span", { class: "times" }, head.clock, head.count),
    head.next,
    head.patient);
  place("to-record").href = `/record/${token}`;
  const link = place("to-sign-in");
  if (link) link.href = `/sign-in?next=${encodeURIComponent(location.pathname)}`;
}

async function load() {
  const got = await fetch(`/api/session/${token}`).catch(() => null);
  if (!got) return; // the page says itself that it is not live
  place("gone").hidden = got.ok;
  place("session").hidden = !got.ok;
  if (!got.ok) return;
  answer = await got.json();
  draw();
}

function draw() {
  const { shown, session, why } = answer;
  const state = stateOf(shown);
  place("head").dataset.state = state;
  put(head.chair, answer.chair);
  head.state.replaceChildren(shape(state), word("state", state));
  put(head.count, t("chair.units", { units: shown.units }));
  put(head.patient, patient(session));
  drawLanes(place("lanes"), answer);
  drawChart(place("chart"), answer);
  drawCount(why);
  drawStates(session, answer.told);
  drawFacts(session.facts);
  const acts = place("acts");
  if (acts) redraw(acts, offered(answer));
  tick(Date.parse(answer.now));
}

/** Replace the buttons only if they are others, so that none goes away under a finger. */
function redraw(acts, buttons) {
  const names = buttons.map((button) => button.textContent).join("\n");
  if (acts.dataset.names === names) return;
  acts.dataset.names = names;
  acts.replaceChildren(...buttons);
}

function stateOf(shown) {
  const states = { waiting: "free", "post-infusion": "counting", ended: shown.due.length ? "due" : "ended", finalized: "ended" };
  return states[shown.phase] ?? shown.phase;
}

function patient(session) {
  if (!session.bound) return t("session.no-patient");
  const known = session.patient;
  if (known === undefined) return t("session.bound"); // nobody is signed in, or not any more
  if (known === null) return t("session.purged");
  return [t("session.visit", { visit: known.visit }), known.mrn && t("session.mrn", { mrn: known.mrn })].filter(Boolean).join(" · ");
}

function tick(ms) {
  if (!answer) return;
  const lastsS = lasting(answer.shown, ms);
  put(head.clock, lastsS === null ? "" : span(lastsS));
  put(head.next, coming(answer.shown, ms));
}

function drawCount(why) {
  const unit = why.units + 1;
  const lacksS = Math.max(0, why.next_unit_s - why.counted_s);
  const count = t("session.counted", { counted: words(why.counted_s), units: why.units });
  const next = why.obstacle ? word("obstacle", why.obstacle) : t("session.lacks", { lacks: words(lacksS), unit });
  put(place("count"), `${count} ${next}`);
  const rows = why.stretches.map((each) => row([
    `${timeOf(Date.parse(each.from))} – ${timeOf(Date.parse(each.to))}`,
    span((Date.parse(each.to) - Date.parse(each.from)) / 1000),
    [word("cause", each.cause), each.reason && word("reason", each.reason)].filter(Boolean).join(": "),
  ], each.cause === "counted" ? "counted" : "not"));
  place("stretches").replaceChildren(...(rows.length ? [columns([t("session.when"), t("session.how-long"), t("session.what")]), el("tbody", {}, rows)] : []));
}

function drawStates(session, told) {
  const lines = [t("session.state", { state: word("lifecycle", session.state) })];
  for (const each of told) lines.push(toldText(each));
  for (const each of session.charges) lines.push(t("session.charge", { key: each.charge, units: each.quantity }));
  for (const each of session.corrections) lines.push(t("session.correction", { key: each.charge, charged: each.charged, counted: each.counted }));
  const seconds = session.seconds ?? session.awaiting_second.map((hold) => ({ hold }));
  for (const code of session.held) {
    const second = seconds.find((each) => each.hold === code);
    lines.push(second ? secondPerson(second) : t("session.held", { why: word("held", code) }));
  }
  for (const code of session.missing) lines.push(t("session.missing", { what: word("missing", code) }));
  place("states").replaceChildren(...lines.map((line) => el("li", {}, line)));
}

function toldText({ increment: key, amended, attained_at }) {
  if (attained_at === null) return t("session.retracted", { key });
  return t(amended ? "session.amended" : "session.increment", { key, at: timeOf(Date.parse(attained_at)) });
}

function drawFacts(facts) {
  const rows = [...facts].reverse().map((fact) => row([
    timeOf(Date.parse(fact.at)),
    word("fact", fact.fact),
    saidBy(fact),
    fact.known_at_us ? timeOf(fact.known_at_us / 1000) : "",
    [fact.text, fact.cap_id, fact.to && word("role", fact.to), fact.person && fact.reason].filter(Boolean).join("; "),
  ]));
  const names = [t("session.when"), t("session.what"), t("session.who"), t("session.learned"), t("session.said")];
  place("facts").replaceChildren(columns(names), el("tbody", {}, rows));
}

function saidBy(fact) {
  if (fact.person || !signedIn) return fact.person ?? "";
  if (MACHINE.test(fact.fact)) return t("session.machine");
  return GATEWAY.test(fact.fact) ? t("session.gateway") : t("session.chart");
}

function words(seconds) {
  return t("session.min-s", { minutes: Math.floor(seconds / 60), seconds: Math.floor(seconds % 60) });
}
