"""A patient with names that occur nowhere else comes in by every door, whole and broken: who else learns of it?

Not the log, in either form, nor the record of crashes, the counts of the feed, what goes out under dev/, or the chain.
`test_canary.py` plays one day of the installed process; here are all the forms that a message or a request can have.
"""

import io
import json
import logging
from collections.abc import Iterator
from pathlib import Path

import msgspec
import pytest

from gateway.control.requests import ACTS
from gateway.recording import message_reader
from gateway.runtime.crashes import Crashes
from gateway.runtime.logs import HumanFormatter, JsonFormatter
from tests.support.operator import Operator
from tests.support.pipeline import Suite
from tests.support.story import POLICIES, a_day
from tests.unit.gateway.messages.hl7_support import SAMPLES

CANARIES = {
    "V770012": "QZVISIT7",
    "90001234": "QZMRN7",
    "770012": "QZACCT7",
    "TESTPATIENT": "QZFAMILY",
    "ALPHA": "QZGIVEN",
    "19700101": "19130203",
    "1970-01-01": "1913-02-03",
}
CUTS = 6  # of each message, so that every part of it is once the last


def found(text: str) -> list[str]:
    return [canary for canary in CANARIES.values() if canary.lower() in text.lower()]


def samples() -> Iterator[bytes]:
    """Every sample of an inbound message, about the canary; cut off in places; with a separator too many."""
    for path in sorted(SAMPLES.iterdir()):
        text = path.read_text()
        for name, canary in CANARIES.items():
            text = text.replace(name, canary)
        whole = text.replace("\n", "\r").encode() if path.suffix == ".hl7" else text.encode()
        yield whole
        yield from (whole[: len(whole) * cut // CUTS] for cut in range(1, CUTS))
        yield whole.replace(b"|", b"^", 20).replace(b'":', b'":"', 3)


async def every_request(operator: Operator) -> None:
    """Acts and questions that name the canary: where it belongs, where it does not, and in what is no request."""
    visit, mrn = CANARIES["V770012"], CANARIES["90001234"]
    signed = {"request": "tell", "person": "rn-1", "reason": "as charted"}
    for act in ACTS:
        for token in (visit, mrn):
            await operator.ask(**signed, act=act, token=token, place=token, visit=visit, mrn=mrn)
            await operator.ask(**signed, act=act, token=token)
    await operator.ask(**signed, act="bind", place="c12", visit=visit, mrn=mrn)
    for request in ("session", "why", "screen", "status", "looked", "resend", "purge", mrn):
        await operator.ask(request=request, token=visit, session=visit, key=mrn, identify=True)
    for line in (visit.encode(), b'{"request": "' + mrn.encode(), json.dumps([visit, mrn]).encode()):
        await operator.service.answer(line, operator.by)


async def told(suite: Suite) -> dict[str, str]:
    """What leaves the gateway for others than the EHR, and what stays."""
    rows = await suite.ledger.outbox.pending(0, 100_000)
    now_us = suite.clock.now().utc_us
    return {
        "under dev/": "".join(row.payload.decode() for row in rows if "/dev/" in row.topic),
        "topics and ids": "".join(f"{row.topic} {row.event_id}" for row in rows),
        "the feed": msgspec.json.encode(suite.pipeline.feed.rows(now_us)).decode(),
        "unknown words": " ".join(suite.pipeline.feed.unknown_words),
        "the chain": "".join(entry.body for entry in await suite.ledger.entries()),
    }


@pytest.mark.requirement("REQ-PRIVACY-1")
async def test_nobody_but_the_ehr_learns_who_the_patient_is(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    streams = [io.StringIO(), io.StringIO()]
    handlers = [logging.StreamHandler(stream) for stream in streams]
    for handler, form in zip(handlers, (JsonFormatter(), HumanFormatter()), strict=True):
        handler.setFormatter(form)
        logging.getLogger().addHandler(handler)
    try:
        async with a_day(tmp_path, (POLICIES / "story.toml").read_text()) as day:
            for payload in samples():
                await day.pipeline.message("ehr/in/hl7", payload)
            await every_request(Operator(day))
            places = await told(day)

            def fails(*_: object) -> None:
                raise ValueError(" ".join(CANARIES.values()))

            monkeypatch.setattr(message_reader, "read_message", fails)
            await day.pipeline.message("ehr/in/hl7", next(samples()))
            try:
                fails()
            except ValueError as error:
                Crashes(tmp_path, lambda: 1).note(error)
            monkeypatch.undo()
    finally:
        for handler in handlers:
            logging.getLogger().removeHandler(handler)
    places |= {"the log": streams[0].getvalue(), "the log for people": streams[1].getvalue()}
    places |= {"crashes": (tmp_path / "crashes.json").read_text()}
    assert {place: found(text) for place, text in places.items() if found(text)} == {}
    assert all(text for place, text in places.items() if place != "unknown words"), "each place was looked at"
    assert "a message met a defect" in places["the log"]
    left = b"".join(path.read_bytes() for path in (tmp_path / "state").iterdir() if path.is_file())
    assert found(left.decode(errors="replace")), "the search finds what is there"
