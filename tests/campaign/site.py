"""The site's files: the configuration and its policies."""

from pathlib import Path
from random import Random
from typing import NamedTuple

from gateway.config.load import GatewayConfig, load_config
from gateway.messages.notation import Notation
from tests.campaign.clinic import SPARE, UNITS
from tests.campaign.oracle import Rules
from tests.campaign.receipts import LONGEST_RESEND_S

POLL_S = 20

_CONFIG = """
[gateway]
site = "clinic"
id = "gw-01"
mode = "live"
state_dir = "state"

[mqtt]
url = "mqtt://127.0.0.1:1883"

[tracking]
policy = "policy.toml"

[charges]
formats = {formats}

[receipts]
expected = "{expected}"
first_resend_s = {first_resend_s}
longest_resend_s = {longest_resend_s}

[drugs]
chemo = ["PACLI"]
"""
_LINE = """
[[line]]
id = "net-{number}"
url = "socket://127.0.0.1:{port}"

[[line.unit]]
id = "{unit}"
profile = "reference-cap-unit"
unit_id = 1
poll_period_s = {poll_s}
cap = [{{ cap = 1, chair = "c{number}1" }}, {{ cap = 2, chair = "c{number}2" }}]
"""
_POLICY = """name = "clinic"
revision = "{revision}"
effective = 2026-01-01
approved_by = "the compliance officer"
first_threshold_s = {rules.first_s}
increment_s = {rules.increment_s}
pause_tolerance_s = {rules.tolerance_s}
finalise_after_h = {rules.finalise_h}
session_idle_s = {rules.idle_s}
max_gap_s = 25.0
"""

ALL_UNITS = (*UNITS, SPARE.unit)


_ONE, _BOTH = '["json"]', '["json", "hl7"]'


class Outgoing(NamedTuple):
    """What is configured of charges and their receipts."""

    formats: str
    expected: str = "none"
    first_resend_s: int = 60


OUTGOING = {  # by the notation in which the engine sends receipts: as it is configured, and as it is after a change
    None: (Outgoing(_ONE), Outgoing(_BOTH)),
    Notation.JSON: (Outgoing(_ONE, "json"), Outgoing(_BOTH, "none")),
    Notation.HL7: (Outgoing(_BOTH, "hl7"), Outgoing(_BOTH, "hl7", 600)),
}


class Site:
    """The folder of the configuration. `rules` are those of every policy so far, by name and revision."""

    def __init__(self, folder: Path, receipts: Notation | None) -> None:
        self.folder = folder
        self.rules: dict[str, Rules] = {}
        self._outgoing, self._other_outgoing = OUTGOING[receipts]
        self._loaded: GatewayConfig | None = None
        self._write_policy(Rules())
        self._write_config()

    @property
    def policy(self) -> str:
        """The policy in force, by name and revision."""
        return f"clinic {len(self.rules)}"

    @property
    def config(self) -> GatewayConfig:
        """What a gateway reads of the files as they are now."""
        if self._loaded is None:
            self._loaded = load_config(self.folder / "gateway.toml")
        return self._loaded

    def change_policy(self, choice: float) -> None:
        """Put another policy in force."""
        random = Random(choice)
        self._write_policy(
            Rules(
                first_s=random.choice((960, 960, 901, 1800)),
                tolerance_s=random.choice((300, 600, 600, 900)),
                finalise_h=random.choice((24, 72, 120)),
                idle_s=random.choice((60, 600, 1800)),
            )
        )

    def change_config(self) -> None:
        """Put another configuration in force."""
        self._outgoing, self._other_outgoing = self._other_outgoing, self._outgoing
        self._write_config()

    def _write_policy(self, rules: Rules) -> None:
        self._loaded = None
        self.rules[f"clinic {len(self.rules) + 1}"] = rules
        text = _POLICY.format(revision=len(self.rules), rules=rules)
        (self.folder / "policy.toml").write_text(text)

    def _write_config(self) -> None:
        self._loaded = None
        lines = [
            _LINE.format(number=number, port=5020 + number, unit=unit, poll_s=POLL_S)
            for number, unit in enumerate(ALL_UNITS, start=1)
        ]
        text = _CONFIG.format(**self._outgoing._asdict(), longest_resend_s=LONGEST_RESEND_S) + "".join(lines)
        (self.folder / "gateway.toml").write_text(text)
