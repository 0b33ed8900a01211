"""The verdict of a site's gateways: every combination of up to three, against the sentences of the how-to page."""

from itertools import product

import pytest

from gateway.bridge.verdict import GatewayAnswer, verdict

GATEWAYS = ("gw-01", "gw-02", "gw-03")
SAID = ("accepted", "ignored", "rejected", "silent", "offline")


@pytest.mark.parametrize("late", [False, True])
@pytest.mark.parametrize("number", [1, 2, 3])
def test_every_combination(number: int, late: bool) -> None:
    for said in product(SAID, repeat=number):
        found = verdict(
            {
                gateway: GatewayAnswer("EHR|1", word, word, word)  # type: ignore[arg-type]
                for gateway, word in zip(GATEWAYS, said, strict=False)
                if word not in ("silent", "offline")
            },
            {gateway for gateway, word in zip(GATEWAYS, said, strict=False) if word != "offline"},
            late=late,
        )
        assert (found and (found.code, found.reason or found.text)) == expected(said, late=late), said


def expected(said: tuple[str, ...], *, late: bool) -> tuple[str, str] | None:
    if "accepted" in said:
        return "AA", "accepted"
    if not late and ("silent" in said or set(said) == {"offline"}):
        return None
    if "rejected" in said:
        return "AE", "rejected"
    if "silent" in said or set(said) == {"offline"}:
        return "AE", "no-answer"
    return "AA", "ignored"
