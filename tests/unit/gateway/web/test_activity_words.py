"""The screen of the activity has words for whatever people do and read."""

from datetime import date
from typing import get_args

from gateway.audit.activity import ActivityAnswer, ActivityView
from gateway.ledger.access import Looked, Took
from gateway.session.facts import AnyFact
from gateway.session.wording import Language
from gateway.web.activity import rows
from gateway.web.catalogue import texts_of

FACTS = [str(each.__struct_config__.tag) for each in get_args(AnyFact)]
WHAT = [*FACTS, "resend", "purge", *(f"looked-{each}" for each in Looked), *(f"took-{each}" for each in Took)]


def test_every_row_has_words() -> None:
    views = tuple(
        ActivityView(
            entry=1, recorded_at="2026-03-10T15:00:00Z", what=what, person="", login="page:x", role="", reason="",
            sessions=(), cap="", key="",
        )
        for what in WHAT
    )  # fmt: skip
    day = date(2026, 3, 10)
    answer = ActivityAnswer(first=day, last=day, time_zone="UTC", activity=views, more=False)
    assert [row.what for row in rows(answer) if row.what not in texts_of(Language.ENGLISH)] == []
