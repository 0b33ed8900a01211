// What the interface engine does not have yet, and what became of its own messages.

import { button, mayDo, sendAgain } from "./acts.js";
import { known, timeOf } from "./clock.js";
import { columns, el, row, shape } from "./dom.js";
import { onBoard, start } from "./live.js";
import { onTold } from "./sending.js";
import { t, word } from "./texts.js";

const AGAIN_MS = 5000;
const SHAPES = { rejected: "alarm", pending: "pre-cooling", stored: "ended", unproven: "free" };
const place = (id) => document.getElementById(id);

onBoard(() => place("outbox").dataset.drawn === undefined && load());
onTold(load);
setInterval(load, AGAIN_MS);
start();
sayUnproven();

/** Whether the engine says at all what it has does not change while the gateway runs. */
async function sayUnproven() {
  const got = await fetch("/api/status").catch(() => null);
  if (got?.ok) place("unproven").hidden = (await got.json()).outbox.delivery !== "unproven";
}

async function load() {
  if (!known()) return; // the suite's zone comes with the board
  await Promise.all([show("/api/delivery", place("outbox"), drawOutbox), show("/api/feed", place("feed"), drawFeed)]);
}

/** Draw what the address answers, if it is other than what is drawn. */
async function show(address, where, draw) {
  const got = await fetch(address).catch(() => null);
  if (!got?.ok) return; // the page says itself that it is not live
  const said = await got.text();
  if (where.dataset.drawn === said) return;
  where.dataset.drawn = said;
  draw(JSON.parse(said), where);
}

function drawOutbox({ states }, where) {
  place("nothing").hidden = states.length > 0;
  where.replaceChildren(...states.flatMap((each) => [
    el("h3", { class: each.state }, shape(SHAPES[each.state]), t("delivery.state", { state: word("proof", each.state), count: each.count })),
    each.count > each.messages.length ? el("p", {}, t("delivery.oldest", { count: each.messages.length })) : null,
    el("div", { class: "wide-table", tabindex: "0", role: "group", "aria-label": word("proof", each.state) },
      el("table", {}, header("message", "since", "sent", "code", "act"), el("tbody", {}, each.messages.map(message)))),
  ]).filter(Boolean));
}

function message(each) {
  const sent = each.sent_at ? t("delivery.sends", { count: each.sends, at: timeOf(Date.parse(each.sent_at)) }) : t("delivery.not-sent");
  const kind = each.topic.split("/").slice(-2).join(" ");
  const again = mayDo("resend") ? button(t("act.resend", { key: each.key }), () => sendAgain(each.key)) : "";
  return row([`${each.key} (${kind})`, timeOf(Date.parse(each.since)), sent, each.code, again]);
}

function drawFeed({ feed }, where) {
  const today = feed.filter((each) => each.today);
  place("no-feed").hidden = today.length > 0;
  where.replaceChildren(...(today.length ? [
    header("sender", "type", "result", "today", "late", "last"),
    el("tbody", {}, today.map((each) => row([
      each.sender,
      each.type,
      [word("feed", each.result), each.code].filter(Boolean).join(": "),
      String(each.today),
      String(each.late_today),
      [timeOf(Date.parse(each.last_at)), each.last_id].filter(Boolean).join(" · "),
    ]))),
  ] : []));
}

function header(...names) {
  return columns(names.map((each) => word("delivery-column", each)));
}
