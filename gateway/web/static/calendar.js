// Days, weeks and months of the calendar. A day is its text, YYYY-MM-DD; nothing here knows a clock or a zone.

const DAY_MS = 86400000;

/** The first and the last day of the day, the week from Monday, or the month that `day` is in. */
export function period(span, day) {
  const at = ms(day);
  if (span === "week") {
    const first = at - ((new Date(at).getUTCDay() + 6) % 7) * DAY_MS;
    return { first: text(first), last: text(first + 6 * DAY_MS) };
  }
  if (span === "month") return { first: `${day.slice(0, 7)}-01`, last: text(monthAfter(day) - DAY_MS) };
  return { first: day, last: day };
}

/** A day in the period before, and one in the period after. */
export function around(span, day) {
  const { first, last } = period(span, day);
  return { before: text(ms(first) - DAY_MS), after: text(ms(last) + DAY_MS) };
}

/** The period in words of the page's language. */
export function periodText(span, day) {
  const { first, last } = period(span, day);
  const options = span === "month" ? { month: "long", year: "numeric" } : { weekday: "long", day: "numeric", month: "long", year: "numeric" };
  const format = new Intl.DateTimeFormat(document.documentElement.lang, { timeZone: "UTC", ...options });
  return span === "week" ? format.formatRange(ms(first), ms(last)) : format.format(ms(first));
}

/** Whether a text is a day of the calendar. */
export function isDay(day) {
  return /^\d{4}-\d{2}-\d{2}$/.test(day) && !Number.isNaN(ms(day)) && text(ms(day)) === day;
}

function ms(day) {
  return Date.parse(`${day}T00:00:00Z`);
}

function text(at) {
  return new Date(at).toISOString().slice(0, 10);
}

function monthAfter(day) {
  const [year, month] = day.split("-").map(Number);
  return Date.UTC(year, month, 1);
}
