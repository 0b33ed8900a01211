"""The policies of a site, of which a session pins the one that is in force when it opens. Pure."""

from collections.abc import Iterable
from datetime import datetime, time
from functools import lru_cache

import msgspec

from gateway.session.policy import Policy, parse_policy
from gateway.session.spans import US_PER_S


class Policies(msgspec.Struct, frozen=True):
    """The texts of policies by the days on which they take effect: one or more, no two of a day."""

    texts: tuple[str, ...]

    def text_at(self, at_us: int) -> str:
        """The text in force at an instant, UTC: of those in effect by their own calendars the last, else the first."""
        in_effect = (text for text in reversed(self.texts) if _effective_us(text) <= at_us)
        return next(in_effect, self.texts[0])

    def at(self, at_us: int) -> Policy:
        """The policy in force at an instant, UTC."""
        return parse_policy(self.text_at(at_us))

    def after(self, at_us: int) -> tuple[Policy, ...]:
        """The policies that follow the one in force at an instant, UTC."""
        return self.all[self.texts.index(self.text_at(at_us)) + 1 :]

    @property
    def all(self) -> tuple[Policy, ...]:
        """Every policy."""
        return tuple(map(parse_policy, self.texts))

    @property
    def longest_idle_us(self) -> int:
        """The longest that any of them lets an occupant keep a cap after a stop."""
        return max(policy.session_idle_s for policy in self.all) * US_PER_S

    def idle_us_at(self, at_us: int) -> int:
        """How long the one in force at an instant, UTC, lets an occupant keep a cap after a stop."""
        return self.at(at_us).session_idle_s * US_PER_S


def policies_of(texts: Iterable[str]) -> Policies:
    """These policies in the order in which they take effect. Raises PolicyError where a text is none."""
    return Policies(tuple(sorted(texts, key=lambda text: parse_policy(text).effective)))


@lru_cache
def _effective_us(text: str) -> int:
    """When the day on which the policy takes effect begins by its own calendar, UTC."""
    policy = parse_policy(text)
    begins = datetime.combine(policy.effective, time(), policy.zone)
    return round(begins.timestamp()) * US_PER_S
