// The session's line of time: a lane each for cooling, infusions, what interrupted, and what counted; the temperatures
// below it, over the same time.

import uPlot from "./vendor/uPlot.esm.js";
import { timeOf } from "./clock.js";
import { el, svg } from "./dom.js";
import { t, word } from "./texts.js";

const LANES = ["cooling", "infusion", "pause", "fault", "unknown", "counted"];
const WIDTH = 1000;
const ROW = 26;
let chart = null;

/** Draw the line of a session, as `screen` answers it. */
export function drawLanes(place, answer) {
  const rows = LANES.filter((lane) => answer.lanes.some((each) => each.lane === lane));
  if (!rows.length) return place.replaceChildren(el("p", {}, t("session.nothing-yet")));
  const [from, to] = bounds(answer);
  const x = (ms) => ((ms - from) / (to - from)) * WIDTH;
  const drawn = answer.lanes.map((each) => {
    const [start, end] = [Date.parse(each.from), Date.parse(each.to)];
    return svg("rect", { x: x(start), y: rows.indexOf(each.lane) * ROW + 3, width: Math.max(x(end) - x(start), 2), height: ROW - 6, class: `lane ${each.lane}` },
      svg("title", {}, `${laneWord(each)} ${timeOf(start)} – ${each.goes_on ? t("session.goes-on") : timeOf(end)}`));
  });
  const marks = answer.attained.map((at) => svg("line", { x1: x(Date.parse(at)), x2: x(Date.parse(at)), y1: 0, y2: rows.length * ROW, class: "mark" }));
  const picture = svg("svg", { viewBox: `0 0 ${WIDTH} ${rows.length * ROW}`, preserveAspectRatio: "none", class: "lanes", role: "img", "aria-label": t("session.line") }, drawn, marks);
  const names = el("ol", { class: "names", "aria-hidden": "true" }, rows.map((lane) => el("li", {}, word("lane", lane))));
  place.replaceChildren(el("div", { class: "line" }, names, picture), el("p", { class: "ends" }, el("span", {}, timeOf(from)), el("span", {}, timeOf(to))));
}

function bounds(answer) {
  const from = Math.min(...answer.lanes.map((each) => Date.parse(each.from)));
  return [from, Math.max(Date.parse(answer.until), from + 60000)];
}

function laneWord(each) {
  return each.agent ? `${word("lane", each.lane)} (${word("agent", each.agent)})` : word("lane", each.lane);
}

/** Draw the temperatures over the same time. */
export function drawChart(place, answer) {
  const points = answer.temperatures;
  chart?.destroy();
  chart = null;
  if (points.length < 2 || !answer.lanes.length) return;
  const [from, to] = bounds(answer);
  const ink = getComputedStyle(document.body).color;
  const axis = { stroke: ink, grid: { stroke: "rgb(128 128 128 / 0.25)" }, ticks: { stroke: ink } };
  chart = new uPlot({
    width: place.clientWidth, height: 220, cursor: { show: false }, legend: { live: false },
    scales: { x: { time: false, range: [from / 1000, to / 1000] } },
    axes: [{ ...axis, values: (_, splits) => splits.map((second) => timeOf(second * 1000).replace(/ .*/, "")) }, { ...axis, label: "°C" }],
    series: [{}, { label: t("session.cap"), stroke: ink, width: 2, spanGaps: false }, { label: t("session.coolant"), stroke: ink, dash: [6, 5], width: 2, spanGaps: false }],
  }, [0, 1, 2].map((column) => points.map((point) => (column === 0 ? point[0] / 1e6 : point[column]))), place);
}
