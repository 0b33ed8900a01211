"""The keys of sessions, increments and charges: how they are made, and what can be read off them. Pure.

A session's token has 9 characters. An increment has the token and its number, from `01`; what is published of it adds
the letter of the revision: `9RX2M7KQ403A`. A charge has `00` and a letter for a number, so that no charge is taken for
an increment; the key of its credit has a letter for the first digit after the token: `9RX2M7KQ4A0A` takes
`9RX2M7KQ400A` back. No key is longer than 12 characters, which fit HL7's FT1-2, and none is used again.
"""

TOKEN_LENGTH = 9
TOKEN_LETTERS = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"  # without those that are mistaken for each other
_NUMBER_END = TOKEN_LENGTH + 2
_CREDIT_DIGITS = "ABCDEFGHJK"


def increment_key(token: str, number: int, revision: str = "") -> str:
    """The key of the session's increment `number`, from 1; of one of its revisions where that is given."""
    return f"{token}{number:02d}{revision}"


def charge_key(token: str, letter: str) -> str:
    """The key of the session's charge `letter`."""
    return increment_key(token, 0, letter)


def credit_key(charged: str) -> str:
    """The key of the credit that takes the charge of that key back."""
    return charged[:TOKEN_LENGTH] + _CREDIT_DIGITS[int(charged[TOKEN_LENGTH])] + charged[TOKEN_LENGTH + 1 :]


def session_of(key: str) -> str:
    """The token of the session that the key is of."""
    return key[:TOKEN_LENGTH]


def without_revision(key: str) -> str:
    """The key of an increment without that of its revision."""
    return key[:_NUMBER_END]
