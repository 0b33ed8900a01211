// The sessions of a day, a week or a month: what was charged, and first what was not and why.

import { around, isDay, period, periodText } from "./calendar.js";
import { known, nowMs, timeOf, today } from "./clock.js";
import { columns, el, put, row, shape } from "./dom.js";
import { onBoard, start } from "./live.js";
import { formHeaders, signedIn } from "./person.js";
import { number, t, word } from "./texts.js";

const SPANS = ["day", "week", "month"];
const SHAPES = { charged: "counting", held: "due", incomplete: "due", explained: "ended", rejected: "free", corrected: "alarm", provisional: "infusion" };
const asked = new URLSearchParams(location.search);
const span = SPANS.includes(asked.get("span")) ? asked.get("span") : "day";
const place = (id) => document.getElementById(id);
let chairs = new Map(); // the caps' names -> their chairs'
let days = null;

onBoard((views) => {
  const first = chairs.size === 0;
  chairs = new Map([...views.values()].map((view) => [`${view.unit}:${view.cap}`, view.chair]));
  if (first && known()) begin();
});
place("print").addEventListener("click", () => print());
place("charted")?.addEventListener("change", compare);
start();

/** The suite's day and zone come with the board; what is typed or chosen before would be lost. */
function begin() {
  const day = isDay(asked.get("day") ?? "") ? asked.get("day") : today();
  const { first, last } = period(span, day);
  const { before, after } = around(span, day);
  days = `from=${first}&to=${last}`;
  place("day").value = day;
  place("span").value = span;
  put(place("period"), periodText(span, day));
  for (const each of SPANS) place(`to-${each}`).href = address(each, day);
  place(`to-${span}`).setAttribute("aria-current", "true");
  place("before").href = address(span, before);
  place("after").href = address(span, after);
  if (signedIn) place("csv").href = `/days.csv?${days}`;
  show(fetch(`/api/days?${days}`));
  sayPolicies();
  for (const each of document.querySelectorAll("main [disabled]")) each.disabled = false;
}

/** Which policy sessions are counted under that open now, and which come when. */
async function sayPolicies() {
  const got = await fetch("/api/status").catch(() => null);
  if (!got?.ok) return; // the page says itself that it is not live
  const { policy, next_policies: next } = await got.json();
  put(place("policies"), [policyWords("days.policy", policy), ...next.map((each) => policyWords("days.next-policy", each))].join(" "));
}

function policyWords(key, policy) {
  return `${t(key, policy)} ${policy.approved_by ? t("days.approved", policy) : t("days.unapproved")}`;
}

function address(of, day) {
  return `/days?span=${of}&day=${day}`;
}

/** Compare with a file of minutes that were charted by hand; the file is not kept. */
async function compare() {
  const [file] = place("charted").files;
  place("charted").value = ""; // the same file may be chosen again once it is mended
  if (file) show(fetch(`/api/days/charted?${days}`, { method: "POST", headers: { ...formHeaders(), "content-type": "text/csv" }, body: file }));
}

async function show(asking) {
  const trouble = place("trouble");
  place("list").setAttribute("aria-busy", "true");
  const got = await asking.catch(() => null);
  place("list").removeAttribute("aria-busy");
  trouble.hidden = got?.ok ?? false;
  if (got?.ok) draw(await got.json());
  else put(trouble, t("days.trouble", { reason: got === null ? t("act.no-answer") : (await got.text()).trim() }));
}

function draw(answer) {
  const { sessions, compared } = answer;
  const byHand = new Map(compared.filter((each) => each.verdict !== "not computed").map((each) => [each.session, each]));
  const hand = compared.length > 0;
  put(place("sums"), sums(answer));
  put(place("units"), [units(answer), atEngine(answer.engine)].filter(Boolean).join(" "));
  put(place("compared"), hand ? t("days.compared", { count: compared.length, differing: answer.differing }) : "");
  place("unmatched").replaceChildren(...compared.filter((each) => each.verdict === "not computed").map(unmatched));
  place("none").hidden = sessions.length > 0;
  put(place("read-at"), t("days.read-at", { at: timeOf(nowMs()) }));
  const names = ["place", "chair", "opened", "session", "charted", "counted", "units", "charged", "why", ...(hand ? ["by-hand", "agreement"] : [])];
  place("sessions").replaceChildren(...(sessions.length ? [
    columns(names.map((each) => word("days-column", each))),
    el("tbody", {}, sessions.map((each) => session(each, hand, byHand.get(each.session)))),
    el("tfoot", {}, total(answer, hand)),
  ] : []));
}

function session(each, hand, charted) {
  const name = el("a", { href: `/session/${each.session}` }, each.session);
  const cells = [
    el("span", { class: "place" }, shape(SHAPES[each.place]), word("place", each.place)),
    each.caps.split(" ").map((cap) => chairs.get(cap) ?? cap).join(", "),
    timeOf(Date.parse(each.opened_at)),
    el("span", {}, name, each.visit ? ` · ${t("session.visit", { visit: each.visit })}` : ""),
    number(each.chart_minutes),
    number(each.counted_minutes),
    number(each.attained),
    number(each.charged),
    each.reasons.map(reason).filter(Boolean).join("; "),
  ];
  return row(hand ? [...cells, ...beside(charted)] : cells, each.place === "charged" ? "counted" : "not");
}

function beside(charted) {
  if (!charted) return ["", ""];
  const minutes = charted.charted_minutes === null ? "" : t("days.by-hand", { minutes: number(charted.charted_minutes), units: charted.charted_units });
  return [minutes, word("agreement", charted.verdict)];
}

function total(answer, hand) {
  const cells = [t("days.total", { seen: answer.seen }), "", "", "", number(answer.chart_minutes), number(answer.counted_minutes), number(answer.attained), number(answer.charged), ""];
  return row(hand ? [...cells, number(answer.compared.reduce((sum, each) => sum + each.charted_units, 0)), ""] : cells);
}

function reason(each) {
  if (each.code === "explained" && !each.person) return "";
  const words = { ...each, held: listed("held", each.held), missing: listed("missing", each.missing), phase: each.phase && word("phase", each.phase) };
  const text = t(`why-not.${each.code}`, words);
  return each.code === "refused" && each.person ? `${text} (${each.person}, ${timeOf(each.at_us / 1000)})` : text;
}

function listed(kind, codes = []) {
  return codes.map((code) => word(kind, code)).join(", ");
}

function unmatched(each) {
  return el("li", {}, t("days.unmatched", { line: each.line, minutes: number(each.charted_minutes) }));
}

function sums({ seen, places }) {
  const parts = Object.entries(places).filter(([, count]) => count).map(([name, count]) => `${count} ${word("place", name)}`);
  return [t("days.seen", { seen }), parts.join(" + ")].filter(Boolean).join(" = ");
}

function units({ attained, charged }) {
  return t("days.units", { attained, charged });
}

function atEngine(engine) {
  const parts = Object.entries(engine).map(([proof, count]) => `${count} ${word("proof", proof)}`);
  return parts.length ? t("days.engine", { states: parts.join(", ") }) : "";
}
