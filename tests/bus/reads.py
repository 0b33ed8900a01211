"""Which bytes only read, dialect by dialect: written from the documents, sharing no code with the encoders.

Whatever is not known to read is a write: an unknown command, a frame too long, a check that is wrong, two frames in
one. Sources: docs/devices/sources.md where it stands, else the profile's `source`.
"""

import re
from collections.abc import Callable

MODBUS_READS = (1, 2, 3, 4)  # Modbus Application Protocol V1.1b3, section 6
NC_READS = {  # NESLAB EX and ThermoFlex manuals, serial protocol: acknowledge, firmware, text, status, values, limits
    0x00, 0x02, 0x07, 0x09, 0x10, 0x20, 0x21, 0x28, 0x29, 0x2A, 0x40, 0x60, 0x70, 0x71, 0x72, 0x73, 0x74, 0x75, 0x76,
}  # fmt: skip


def crc16(data: bytes) -> int:
    """CRC-16 of Modbus RTU, one bit at a time."""
    register = 0xFFFF
    for byte in data:
        register ^= byte
        for _ in range(8):
            register = (register >> 1) ^ 0xA001 if register & 1 else register >> 1
    return register


def modbus_rtu(frame: bytes) -> bool:
    """Unit, function, address, count, CRC: eight bytes."""
    return len(frame) == 8 and frame[1] in MODBUS_READS and crc16(frame[:6]) == frame[6] + 256 * frame[7]


def modbus_ascii(frame: bytes) -> bool:
    """The same in hexadecimal with an LRC."""
    if re.fullmatch(rb":[0-9A-F]{14}\r\n", frame) is None:
        return False
    message = bytes(int(frame[at : at + 2], 16) for at in range(1, 15, 2))
    return message[1] in MODBUS_READS and sum(message) % 256 == 0


def modbus_tcp(frame: bytes) -> bool:
    """A header that announces six bytes: unit, function, address, count."""
    return len(frame) == 12 and frame[2:6] == b"\0\0\0\x06" and frame[7] in MODBUS_READS


def julabo(frame: bytes) -> bool:
    """`status`, `version` and `in_...`; `out_...` sets."""
    return re.fullmatch(rb"(?i:A\d{3}_)?(?i:STATUS|VERSION|IN_[A-Z]{2,4}_\d{2})\r", frame) is not None


def nc(frame: bytes) -> bool:
    """Lead, address, a command that asks, no data, the inverted sum."""
    return (
        len(frame) == 6
        and frame[0] in (0xCA, 0xCC)
        and frame[3] in NC_READS
        and frame[4] == 0
        and sum(frame[1:5]) % 256 ^ 0xFF == frame[5]
    )


def huber_pb(frame: bytes) -> bool:
    """A variable with stars for its value."""
    return re.fullmatch(rb"\{M[0-9A-F]{2}\*{4}(\*{4})?\r\n", frame) is not None


def lauda(frame: bytes) -> bool:
    """`IN_...`, `STATUS`, `STAT`, `TYPE`, `VERSION`, with `_` or a space; `OUT_...`, `START` and `STOP` set."""
    asks = rb"(A\d{3}[_ ])?(IN[_ ](PV|SP|MODE|DI|PAR)[_ ]\d{1,2}|STATUS|STAT|TYPE|VERSION([_ ][A-Z])?)\r\n?"
    return re.fullmatch(asks, frame) is not None


def polyscience(frame: bytes) -> bool:
    """`R` and one or two characters more; `S...` sets."""
    return re.fullmatch(rb"R[A-Z0-9]{1,2}\r", frame) is not None


READS: dict[str, Callable[[bytes], bool]] = {
    "modbus-rtu": modbus_rtu,
    "modbus-ascii": modbus_ascii,
    "modbus-tcp": modbus_tcp,
    "julabo": julabo,
    "nc": nc,
    "huber-pb": huber_pb,
    "lauda": lauda,
    "polyscience": polyscience,
}


def is_read(dialect: str, frame: bytes) -> bool:
    """Whether all that was written is one request that reads. A dialect without a rule here has none."""
    return dialect in READS and READS[dialect](frame)
