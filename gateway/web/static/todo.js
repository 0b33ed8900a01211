// What would be lost if the suite closed now, the most pressing first.

import { button, decide, mayDo, workDone } from "./acts.js";
import { nowMs, span } from "./clock.js";
import { el, shape } from "./dom.js";
import { onBoard, start } from "./live.js";
import { onTold } from "./sending.js";
import { t, word } from "./texts.js";

const AGAIN_MS = 20000;
const REASONS = { incomplete: "held", held: "held", undocumented: "missing", correction: "correction", contradiction: "work" };

onBoard(load);
onTold(load);
setInterval(load, AGAIN_MS);
start();

async function load() {
  const got = await fetch("/api/todo").catch(() => null);
  if (!got?.ok) return;
  const { todo } = await got.json();
  const list = document.getElementById("todo");
  const drawn = JSON.stringify(todo);
  document.getElementById("nothing").hidden = todo.length > 0;
  if (list.dataset.drawn === drawn) return;
  list.dataset.drawn = drawn;
  list.replaceChildren(...todo.map(item));
}

function item(each) {
  const what = [word("todo", each.kind), each.chair].filter(Boolean).join(" · ");
  const age = each.since ? t("todo.age", { age: span((nowMs() - Date.parse(each.since)) / 1000) }) : null;
  const money = each.units ? t("todo.units", { units: each.units }) : null;
  const acts = [];
  if (each.token) acts.push(el("a", { class: "button", href: `/session/${each.token}` }, t("todo.open")));
  if (each.token && mayDo("explain")) acts.push(button(t("act.explain"), () => decide("act.explain", "explain", each.token, {})));
  if (each.item && mayDo("work-done")) acts.push(button(t("act.work-done"), () => workDone(each.item)));
  return el("li", { class: `sheet ${each.kind}` },
    el("h2", {}, shape("due"), what),
    el("p", {}, [money, age].filter(Boolean).join(" · ")),
    el("p", {}, each.reasons.map((code) => reason(each.kind, code)).join("; ")),
    el("p", { class: "buttons" }, acts));
}

function reason(kind, code) {
  return kind === "rejected" ? t("todo.messages", { count: code }) : word(REASONS[kind], code);
}
