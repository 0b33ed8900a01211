"""Who asks at the control socket, or runs a command, by the kernel's word.

The peer's uid (SO_PEERCRED) is often the gateway's own, since only that user can open the socket: people become it by
sudo or su. Where the machine keeps the user who logged in (`/proc/PID/loginuid`, which outlives such a change), that
user is named; else the peer's own.
"""

import os
import pwd
import socket
import struct
from pathlib import Path

from gateway.ledger.access import Actor

_CREDENTIALS = struct.Struct("3i")  # pid, uid, gid: struct ucred of unix(7)
_NOBODY_LOGGED_IN = 0xFFFF_FFFF  # loginuid of what no login has started


def peer_of(connection: socket.socket) -> Actor:
    """The user at the other end of a unix stream socket. It may wait for a directory of users."""
    credentials = connection.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, _CREDENTIALS.size)
    pid, uid, _ = _CREDENTIALS.unpack(credentials)
    return user(uid, login_uid(pid))


def this_user() -> Actor:
    """The user who runs this command."""
    return user(os.getuid(), login_uid(os.getpid()))


def user(uid: int, login_uid: int | None) -> Actor:
    """The user who logged in as `login_uid`, if anybody did, else the one of `uid`."""
    known = uid if login_uid is None else login_uid
    try:
        name = pwd.getpwuid(known).pw_name
    except KeyError:
        name = ""
    return Actor(f"host:{name}:{known}")


def login_uid(pid: int) -> int | None:
    """As which user somebody logged in who then started that process; None: nobody, or it is not kept."""
    try:
        uid = int(Path(f"/proc/{pid}/loginuid").read_text())
    except (OSError, ValueError):  # no such file where the kernel keeps none, or the process is gone
        return None
    return None if uid == _NOBODY_LOGGED_IN else uid
