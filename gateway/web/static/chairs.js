// The chairs of the suite, a tile each.

import { bindAtChair, button, mayDo } from "./acts.js";
import { span } from "./clock.js";
import { el, put, shape, svg } from "./dom.js";
import { onBoard, onSecond, start } from "./live.js";
import { t, word } from "./texts.js";
import { coming, degrees, lasting } from "./words.js";

const TREND_STEP_MS = 30000;
const tiles = new Map();
const drawn = new WeakMap(); // of an element what it shows
const list = document.getElementById("chairs");

onBoard((chairs, trends, changed) => {
  for (const [name, tile] of tiles) {
    if (!chairs.has(name)) {
      tile.item.remove();
      tiles.delete(name);
    }
  }
  for (const name of changed) {
    const view = chairs.get(name);
    const tile = tiles.get(name) ?? add(name);
    announce(tile.view, view);
    tile.view = view;
    draw(tile, view);
    drawTrend(tile, extended(trends, name, view));
  }
});
onSecond((ms) => tiles.forEach((tile) => tick(tile, ms)));
start();
if (mayDo("bind")) document.getElementById("acts").append(button(t("act.bind-at"), bindAtChair));

function add(name) {
  const part = {};
  for (const each of ["clock", "count", "next", "cap", "coolant", "age", "notes"]) part[each] = el("span", { class: each });
  const link = el("a", { class: "tile" },
    el("span", { class: "head" }, el("strong", { class: "chair" }, name), (part.state = el("span", { class: "state" }))),
    el("span", { class: "times" }, part.clock, part.count),
    part.next,
    el("span", { class: "temperatures" }, part.cap, part.coolant, (part.trend = svg("svg", { class: "trend", viewBox: "0 0 120 30", preserveAspectRatio: "none", "aria-hidden": "true" }))),
    part.age,
    part.notes,
  );
  const item = el("li", {}, link);
  const tile = { item, link, part, view: null };
  tiles.set(name, tile);
  const after = [...tiles.keys()].sort((a, b) => a.localeCompare(b, undefined, { numeric: true }));
  list.insertBefore(item, tiles.get(after[after.indexOf(name) + 1])?.item ?? null);
  return tile;
}

function draw(tile, view) {
  const { link, part } = tile;
  const session = view.session;
  const href = session && `/session/${session.token}`;
  if (href && link.getAttribute("href") !== href) link.setAttribute("href", href);
  else if (!href) link.removeAttribute("href");
  mark(link, "state", view.state);
  mark(link, "alarm", String(isAlarm(view)));
  if (changed(part.state, view.state)) part.state.replaceChildren(shape(view.state), word("state", view.state));
  put(part.count, session ? t("chair.units", { units: session.units }) : "");
  put(part.cap, view.cap_c === null ? "" : t("chair.cap", { celsius: degrees(view.cap_c) }));
  put(part.coolant, view.coolant_c === null ? "" : t("chair.coolant", { celsius: degrees(view.coolant_c) }));
  const said = notes(view);
  if (changed(part.notes, said)) part.notes.replaceChildren(...said.map(note));
}

/** Whether the element is to show something else than it does. */
function changed(element, shown) {
  const text = JSON.stringify(shown);
  if (drawn.get(element) === text) return false;
  drawn.set(element, text);
  return true;
}

function isAlarm(view) {
  return view.alarms.length > 0 || (view.session !== null && view.fault !== null);
}

function notes(view) {
  const found = view.alarms.map((code) => ["alarm", t("chair.alarm", { what: word("alarm", code) })]);
  if (view.fault !== null) found.push([view.session ? "alarm" : "plain", t("chair.no-reading", { why: word("fault", view.fault) })]);
  if (view.connected === false && view.session) found.push(["due", t("chair.cap-off")]);
  for (const code of view.session?.due ?? []) found.push(["due", t("chair.due", { what: word("missing", code) })]);
  return found;
}

function note([kind, text]) {
  return el("span", { class: `note ${kind}` }, kind === "plain" ? null : shape(kind), text);
}

function tick(tile, ms) {
  const { view, part, link } = tile;
  const session = view.session;
  const lastsS = session && lasting(session, ms);
  put(part.clock, lastsS === null ? "" : span(lastsS));
  put(part.next, session ? coming(session, ms) : "");
  const ageS = view.observed_at === null ? null : (ms - Date.parse(view.observed_at)) / 1000;
  put(part.age, ageS === null ? t("chair.never-read") : t("chair.age", { age: span(ageS) }));
  mark(link, "stale", String(ageS === null || ageS > view.stale_after_s));
}

/** Set a data attribute if it differs: the browser works out the style anew even for the same value. */
function mark(element, name, value) {
  if (element.dataset[name] !== value) element.dataset[name] = value;
}

function extended(trends, name, view) {
  const points = trends.get(name) ?? [];
  const at = view.observed_at === null ? null : Date.parse(view.observed_at) * 1000;
  if (at !== null && (points.length === 0 || at - points.at(-1)[0] >= TREND_STEP_MS * 1000)) {
    points.push([at, view.cap_c, view.coolant_c]);
    if (points.length > 120) points.shift();
    trends.set(name, points);
  }
  return points;
}

function drawTrend(tile, points) {
  if (!changed(tile.part.trend, [points.length, points.at(-1)])) return;
  const values = points.flatMap(([, cap, coolant]) => [cap, coolant]).filter((value) => value !== null);
  if (values.length < 2) {
    tile.part.trend.replaceChildren();
    return;
  }
  const [low, high] = [Math.min(...values), Math.max(...values)];
  const range = Math.max(high - low, 1);
  const lines = [1, 2].map((column) => {
    const drawn = points.filter((point) => point[column] !== null);
    const [first, last] = [points[0][0], points.at(-1)[0]];
    const at = drawn.map((point) => `${(((point[0] - first) / Math.max(last - first, 1)) * 118 + 1).toFixed(1)},${(28 - ((point[column] - low) / range) * 26).toFixed(1)}`);
    return svg("polyline", { points: at.join(" "), class: column === 1 ? "of-cap" : "of-coolant" });
  });
  tile.part.trend.replaceChildren(...lines);
}

function announce(before, view) {
  if (before === null || before.state === view.state) return;
  put(document.getElementById("announce"), `${view.chair}: ${word("state", view.state)}`);
}
