"""Who acts or looks, as the gateway itself knows, whatever name is stated."""

import msgspec


class Actor(msgspec.Struct, frozen=True):
    """An account of the page (`page:NAME`) with its role, or a user of the machine (`host:NAME:UID`)."""

    login: str
    role: str = ""
