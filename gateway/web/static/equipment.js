// How the machines and their lines answer, each beside its own month; what is worse than that is red.

import { button, capture, mayDo, swap, swapBack } from "./acts.js";
import { known, timeOf } from "./clock.js";
import { el, shape } from "./dom.js";
import { onBoard, start } from "./live.js";
import { onTold } from "./sending.js";
import { number, t, word } from "./texts.js";

const AGAIN_MS = 5000;
const SHAPES = { alarming: "alarm", bad: "due", well: "well", unknown: "offline" };
const COLUMNS = ["kind", "today", "days-7", "days-30", "rate", "median"];
const place = (id) => document.getElementById(id);

onBoard(() => place("lines").dataset.drawn === undefined && load());
onTold(load);
setInterval(load, AGAIN_MS);
start();

async function load() {
  if (!known()) return; // the suite's zone comes with the board
  const got = await fetch("/api/equipment").catch(() => null);
  if (!got?.ok) return; // the page says itself that it is not live
  const { now, ...said } = await got.json();
  const drawn = JSON.stringify(said);
  if (place("lines").dataset.drawn === drawn) return;
  place("lines").dataset.drawn = drawn;
  draw(said);
}

function draw({ lines, units, errors }) {
  place("as-of").textContent = errors ? t("equipment.as-of", errors) : t("equipment.nothing-counted");
  const found = new Map((errors?.lines ?? []).map((each) => [each.line, each]));
  place("lines").replaceChildren(...lines.map((line) => {
    const health = found.get(line.line);
    const ofUnit = new Map((health?.units ?? []).map((each) => [each.unit, each]));
    const mine = units.filter((unit) => unit.line === line.line);
    return el("section", { class: `sheet ${stateOf(health)}`, "data-line": line.line },
      el("h2", {}, ...badge(health), t("equipment.line", { line: line.line, dialect: line.dialect })),
      el("p", { class: "verdict" }, lineWords(health)),
      captures(line),
      el("ul", { class: "plain" }, mine.map((unit) => machine(unit, ofUnit.get(unit.unit)))));
  }));
}

function stateOf(health) {
  if (!health || health.finding === "not-polled") return "unknown";
  if (health.alarming) return "alarming";
  return health.bad ? "bad" : "well";
}

function badge(health) {
  const state = stateOf(health);
  return [shape(SHAPES[state]), el("strong", {}, word("machine", state))];
}

function lineWords(health) {
  if (!health) return "";
  const bad = health.units.filter((unit) => unit.bad).map((unit) => unit.unit);
  const words = t(`line-finding.${health.finding}`, { units: bad.join(", "), count: bad.length });
  return health.bad && health.well ? `${words}; ${t("line-finding.others-well", { count: health.well })}` : words;
}

function unitWords(health) {
  if (!health) return "";
  const figures = (health.finding === "worse" && health.errors.find((each) => each.kind === health.cause)) || health;
  return t(`unit-finding.${health.finding}`, {
    cause: health.cause ? word("look", health.cause) : "",
    rate: number(figures.per_mille_today, 0),
    median: rate(figures.median_per_mille),
  });
}

function captures(line) {
  const shown = [];
  if (line.recorded_until) shown.push(el("span", {}, t("equipment.recorded", { at: timeOf(Date.parse(line.recorded_until)) })));
  else if (mayDo("capture")) shown.push(button(t("act.capture", { line: line.line }), () => capture(line.line)));
  if (line.captured_at && mayDo("capture")) {
    const text = t("equipment.download", { at: timeOf(Date.parse(line.captured_at)), kib: Math.ceil(line.captured_bytes / 1024) });
    shown.push(el("a", { class: "button", href: `/capture/${line.line}`, download: `${line.line}.jsonl` }, text));
  }
  return shown.length ? el("p", { class: "buttons" }, shown) : null;
}

function machine(unit, health) {
  const acts = [];
  if (mayDo("swap") && !unit.stands_in_for) acts.push(button(t("act.swap"), () => swap(unit.unit)));
  if (mayDo("swap-back") && unit.stands_in_for) acts.push(button(t("act.swap-back"), () => swapBack(unit.stands_in_for)));
  return el("li", { class: `machine ${stateOf(health)}`, "data-unit": unit.unit },
    el("h3", {}, ...badge(health), unit.unit),
    health ? el("p", { class: "verdict" }, unitWords(health)) : null,
    unit.fault ? el("p", { class: "verdict" }, t("chair.no-reading", { why: word("fault", unit.fault) })) : null,
    el("p", {}, [...what(unit), seen(unit), answers(unit.answer_times)].join(" · ")),
    errorsOf(health, unit.unit),
    el("p", {}, calibrations(health)),
    acts.length ? el("p", { class: "buttons" }, acts) : null);
}

function what(unit) {
  return [
    t("equipment.profile", { profile: unit.profile, trust: word("trust", unit.trust) }),
    unit.simulated && t("equipment.simulated"),
    unit.chairs.length && t("equipment.chairs", { chairs: unit.chairs.join(", ") }),
    unit.stands_in_for && t("equipment.stands-in", { unit: unit.stands_in_for }),
  ].filter(Boolean);
}

function seen(unit) {
  return unit.last_seen ? t("equipment.seen", { at: timeOf(Date.parse(unit.last_seen)) }) : t("equipment.never-seen");
}

function answers(times) {
  if (!times) return t("equipment.no-answers");
  const mean = number(times.mean_s, times.mean_s < 0.1 ? 3 : 2);
  if (times.usually_within_s === null) return t("equipment.answers-slow", { mean });
  return t("equipment.answers", { mean, within: number(times.usually_within_s, 2) });
}

function errorsOf(health, unit) {
  if (!health) return null;
  if (!health.errors.length) return el("p", {}, t("equipment.no-errors"));
  const rows = health.errors.map((each) => el("tr", { class: each.worse ? "worse" : null },
    el("th", { scope: "row" }, each.worse ? shape("alarm") : null, word("fault", each.kind)),
    [each.today, each.days_7, each.days_30].map((count) => el("td", {}, number(count, 0))),
    [each.per_mille_today, each.median_per_mille].map((each) => el("td", {}, rate(each)))));
  return el("div", { class: "wide-table", tabindex: "0", role: "region", "aria-label": t("equipment.errors-of", { unit }) }, el("table", {},
    el("thead", {}, el("tr", {}, COLUMNS.map((each) => el("th", { scope: "col" }, word("errors", each))))),
    el("tbody", {}, rows)));
}

function calibrations(health) {
  if (!health?.calibrations.length) return t("equipment.no-calibration");
  return health.calibrations.flatMap((each) => {
    const words = { point: each.point, on: each.calibrated_on, offset: number(each.offset_c, 2), due: each.due_on };
    const text = t(each.overdue ? "equipment.overdue" : "equipment.calibrated", words);
    return el("span", { class: each.overdue ? "overdue" : null }, each.overdue ? shape("due") : null, text);
  });
}

function rate(perMille) {
  return perMille === null ? "–" : number(perMille, 1);
}
