"""The price of a unit, as the page shows it."""

import msgspec


class Price(msgspec.Struct, frozen=True):
    """What the site charges for a unit, for people to see what is at stake; no charge is made of it."""

    amount: str
    currency: str  # ISO 4217
