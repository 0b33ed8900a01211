// Keeps the page live: one stream of events, opened anew by itself, and a plain word when it is lost.

import { clockOf, known, nowMs, setClock, silentMs, timeOf } from "./clock.js";
import { put } from "./dom.js";
import "./person.js";
import { t, word } from "./texts.js";

const SILENT_MS = 12000; // the gateway sends something every few seconds
const chairs = new Map(); // name -> its latest view
const trends = new Map();
const listeners = [];
const counting = []; // called each second
let source = null;
let frame = null; // that is asked for: a hidden page gets none, and must not gather them
let lostAtMs = NaN;
let todo = 0;
let uncounted = null; // why the gateway counts nothing

/** Call `listener(chairs, trends, changedNames)` at each change; all names after a new connection. */
export function onBoard(listener) {
  listeners.push(listener);
}

/** Call `listener` each second, for what counts up or down. */
export function onSecond(listener) {
  counting.push(listener);
}

export function start() {
  connect();
  setInterval(watch, 1000);
}

function connect() {
  source?.close();
  source = new EventSource("/events");
  source.onmessage = (event) => take(JSON.parse(event.data));
  source.onerror = () => {
    uncounted = null;
    if (source.readyState === EventSource.CLOSED) setTimeout(connect, 2000);
  };
}

function take(message) {
  uncounted = message.uncounted ?? null;
  if (uncounted) {
    document.body.classList.add("lost");
    return say();
  }
  if (message.trends) {
    takeAll(message);
  } else {
    setClock(message.tick.now);
    todo = message.tick.todo;
    for (const chair of message.chairs) chairs.set(chair.chair, chair);
    tell(message.chairs.map((chair) => chair.chair));
  }
  show();
}

function takeAll(board) {
  setClock(board.now, { speed: board.speed, zone: board.time_zone });
  document.getElementById("test").hidden = board.mode !== "test";
  todo = board.todo;
  chairs.clear();
  trends.clear();
  for (const chair of board.chairs) chairs.set(chair.chair, chair);
  for (const [name, points] of Object.entries(board.trends)) trends.set(name, points);
  tell([...chairs.keys()]);
}

function tell(names) {
  for (const listener of listeners) listener(chairs, trends, names);
}

function watch() {
  if (uncounted) return;
  if (silentMs() > SILENT_MS && !document.body.classList.contains("lost")) {
    lostAtMs = nowMs() - silentMs();
    document.body.classList.add("lost");
    connect();
  } else if (source.readyState === EventSource.CLOSED) {
    connect();
  }
  frame ??= requestAnimationFrame(tick);
  if (document.body.classList.contains("lost")) say();
}

/** All that counts, drawn in one frame; none is drawn where nobody looks. */
function tick() {
  frame = null;
  showTime();
  if (!known() || document.body.classList.contains("lost")) return;
  for (const listener of counting) listener(nowMs());
}

function show() {
  document.body.classList.remove("lost");
  lostAtMs = NaN;
  for (const each of document.querySelectorAll(".todo-count")) {
    each.textContent = todo;
    each.hidden = todo === 0;
  }
  showTime();
  say();
}

function showTime() {
  if (known()) put(document.getElementById("now"), clockOf(nowMs()));
}

function say() {
  const lost = document.body.classList.contains("lost");
  const since = Number.isNaN(lostAtMs) ? "–" : timeOf(lostAtMs);
  const text = uncounted ? word("uncounted", uncounted) : lost ? t("live.lost", { since }) : t("live.on");
  put(document.getElementById("live"), text);
}
