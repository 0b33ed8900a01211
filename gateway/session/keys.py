"""The idempotency keys of sessions, increments and charges: how they are made and parsed. Pure.

A session's token has 9 characters. An increment's key is the token and a number of two digits from `01`; a published
revision of it adds the revision's letter: `9RX2M7KQ403A`. A charge's key has `00` and a letter in place of the number,
so that it cannot equal an increment's; in the key of its credit a letter replaces the first of these zeros:
`9RX2M7KQ4A0A` credits `9RX2M7KQ400A`. No key is longer than 12 characters, which fit HL7's FT1-2, and none is reused.
"""

TOKEN_LENGTH = 9
TOKEN_LETTERS = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"  # Crockford's base 32: without I, L, O and U
_NUMBER_END = TOKEN_LENGTH + 2
_CREDIT_DIGITS = "ABCDEFGHJK"


def increment_key(token: str, number: int, revision: str = "") -> str:
    """The key of the session's increment `number` (1 to 99), with the letter of a revision if one is given."""
    return f"{token}{number:02d}{revision}"


def charge_key(token: str, letter: str) -> str:
    """The key of the session's charge `letter`."""
    return increment_key(token, 0, letter)


def credit_key(charged: str) -> str:
    """The key of the credit that reverses the charge with key `charged`."""
    return charged[:TOKEN_LENGTH] + _CREDIT_DIGITS[int(charged[TOKEN_LENGTH])] + charged[TOKEN_LENGTH + 1 :]


def session_of(key: str) -> str:
    """The token of the session that `key` belongs to."""
    return key[:TOKEN_LENGTH]


def without_revision(key: str) -> str:
    """An increment's key without its revision letter."""
    return key[:_NUMBER_END]
