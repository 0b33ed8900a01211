// What would be lost if the suite closed now: incomplete sessions first, then what costs most.

import { assign, button, decide, mayDo, workDone } from "./acts.js";
import { nowMs, span, timeOf } from "./clock.js";
import { el, put, shape } from "./dom.js";
import { onBoard, onSecond, start } from "./live.js";
import { onTold } from "./sending.js";
import { money, t, word } from "./texts.js";
import { secondPerson } from "./words.js";

const AGAIN_MS = 20000;
const REASONS = { incomplete: "held", held: "held", undocumented: "missing", correction: "correction", contradiction: "work" };
const OVER = ["incomplete", "held"]; // cooling is over: why nothing is charged may be said
const UNKNOWN = ["incomplete", "unbound"]; // the infusion's end may be unknown, and with it the units
const list = document.getElementById("todo");

onBoard(load);
onTold(load);
onSecond((ms) => list.querySelectorAll(".age").forEach((each) => put(each, age(each.dataset.since, ms))));
setInterval(load, AGAIN_MS);
start();

async function load() {
  const got = await fetch("/api/todo").catch(() => null);
  if (!got?.ok) return;
  const { todo } = await got.json();
  const drawn = JSON.stringify(todo);
  document.getElementById("nothing").hidden = todo.length > 0;
  if (list.dataset.drawn === drawn) return;
  list.dataset.drawn = drawn;
  list.replaceChildren(...todo.map(item));
}

function item(each) {
  const what = [word("todo", each.kind), each.chair].filter(Boolean).join(" · ");
  const reasons = each.reasons.map((code) => reason(each.kind, code)).join("; ");
  return el("li", { class: `sheet ${each.kind}` },
    el("h2", {}, shape("due"), what),
    el("p", {}, el("strong", { class: "stake" }, stake(each)), " ", el("span", { class: "age", "data-since": each.since }, age(each.since, nowMs()))),
    reasons ? el("p", {}, reasons) : null,
    each.seconds.map((second) => el("p", {}, secondPerson(second))),
    each.assigned ? el("p", { class: "assigned" }, assigned(each.assigned)) : null,
    el("p", { class: "buttons" }, acts(each)));
}

function acts(each) {
  const what = each.token ?? each.item;
  const found = [];
  if (each.token) found.push(el("a", { class: "button", href: `/session/${each.token}` }, t("todo.open")));
  if (what && mayDo("assign")) found.push(button(t("act.assign"), () => assign(what)));
  if (what && each.assigned && mayDo("assign")) found.push(button(t("act.unassign"), () => assign(what, null)));
  if (OVER.includes(each.kind) && mayDo("explain")) found.push(button(t("act.explain"), () => decide("act.explain", "explain", each.token, {})));
  if (each.kind === "contradiction" && mayDo("work-done")) found.push(button(t("act.work-done"), () => workDone(each.item)));
  return found;
}

/** What it may cost: units, and money where the site has told the price of one. */
function stake({ kind, token, units }) {
  if (!token) return "";
  if (!units && UNKNOWN.includes(kind)) return t("todo.units-unknown");
  const { price, currency } = list.dataset;
  const text = t("todo.units", { units });
  return price && units ? `${text} (${money(units * price, currency)})` : text;
}

function age(since, ms) {
  return t("todo.age", { age: span((ms - Date.parse(since)) / 1000) });
}

function assigned({ to, person, at }) {
  const words = { to: word("role", to), person, at: timeOf(Date.parse(at)) };
  return t(to ? "todo.assigned" : "todo.assigned-unnamed", words);
}

function reason(kind, code) {
  return kind === "rejected" ? t("todo.messages", { count: code }) : word(REASONS[kind], code);
}
