// What a session's figures say, in words that the tile and the session's screen share.

import { span, timeOf } from "./clock.js";
import { number, t, word } from "./texts.js";

/** How long the phase has lasted, in seconds; null if it has no beginning. */
export function lasting(session, ms) {
  return session.since_us ? (ms - session.since_us / 1000) / 1000 : null;
}

/** What comes next: the time to the next unit, or a pause's limit. */
export function coming(session, ms) {
  const lastsS = lasting(session, ms);
  if (session.phase === "paused" && lastsS !== null) {
    const leftS = session.pause_limit_s - lastsS;
    return leftS >= 0 ? t("chair.pause-left", { left: span(leftS) }) : t("chair.pause-over", { over: span(-leftS) });
  }
  const unit = session.units + 1;
  if (session.next_at !== null) {
    const leftS = (Date.parse(session.next_at) - ms) / 1000;
    const text = leftS > 0 ? t("chair.to-next", { unit, left: span(leftS) }) : t("chair.next-unproven", { unit });
    return `${text} · ${infusionEnded(session)}`;
  }
  return session.infusion_end === null ? "" : infusionEnded(session);
}

function infusionEnded(session) {
  return t("chair.infusion-ended", { at: timeOf(Date.parse(session.infusion_end)) });
}

/** That a hold waits for a second person, and who was the first, for whoever may know that. */
export function secondPerson({ hold, person, at }) {
  const words = { why: word("held", hold), person, at: timeOf(Date.parse(at)) };
  return t(person ? "session.held-second-after" : "session.held-second", words);
}

/** A temperature in the page's way to write numbers. */
export function degrees(celsius) {
  return number(celsius, 1, 1);
}
