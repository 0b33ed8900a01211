// The gateway's clock: a tablet's own may be wrong, so only how far it went since then is used.

let baseMs = NaN; // the gateway's instant at `heard`
let heard = moment();
let speed = 1;
let zone = "UTC";

/** Take the gateway's word for the time. */
export function setClock(now, settings) {
  baseMs = Date.parse(now);
  heard = moment();
  if (settings) ({ speed, zone } = settings);
}

/** The gateway's instant now, in milliseconds since 1970; NaN before it was heard. */
export function nowMs() {
  return baseMs + silentMs() * speed;
}

/** How long nothing was heard of the gateway, in milliseconds. */
export function silentMs() {
  return sinceMs(heard);
}

/** This moment, for `sinceMs`. */
export function moment() {
  return { steady: performance.now(), wall: Date.now() };
}

/** How long ago that was, in milliseconds. The steady clock stands still while many a tablet sleeps: the longer counts. */
export function sinceMs(then) {
  return Math.max(performance.now() - then.steady, Date.now() - then.wall);
}

export function known() {
  return !Number.isNaN(baseMs);
}

const formats = new Map();

function format(options) {
  const key = JSON.stringify(options) + zone;
  if (!formats.has(key)) {
    formats.set(key, new Intl.DateTimeFormat(document.documentElement.lang, { timeZone: zone, hourCycle: "h23", ...options }));
  }
  return formats.get(key);
}

/** An instant as HH:MM with its zone, in the suite's time; with its date if that is not today's. */
export function timeOf(ms) {
  const day = { year: "numeric", month: "numeric", day: "numeric" };
  const today = format(day).format(nowMs()) === format(day).format(ms);
  const date = today ? {} : { month: "short", day: "numeric" };
  return format({ hour: "2-digit", minute: "2-digit", timeZoneName: "short", ...date }).format(ms);
}

/** The same with seconds and without the zone, for the header's clock the zone stays. */
export function clockOf(ms) {
  return format({ hour: "2-digit", minute: "2-digit", second: "2-digit", timeZoneName: "short" }).format(ms);
}

/** The suite's calendar day, as YYYY-MM-DD. */
export function today() {
  const parts = new Map(format({ year: "numeric", month: "2-digit", day: "2-digit" }).formatToParts(nowMs()).map((each) => [each.type, each.value]));
  return `${parts.get("year")}-${parts.get("month")}-${parts.get("day")}`;
}

/** A span as m:ss, or h:mm:ss from an hour on. */
export function span(seconds) {
  const whole = Math.max(0, Math.floor(seconds));
  const parts = [Math.floor(whole / 3600), Math.floor((whole % 3600) / 60), whole % 60];
  const [hours, minutes, rest] = parts.map((part) => String(part).padStart(2, "0"));
  return parts[0] ? `${parts[0]}:${minutes}:${rest}` : `${minutes}:${rest}`;
}
