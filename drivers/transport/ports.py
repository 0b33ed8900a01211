"""Lists this machine's serial ports by stable names, and the programs that have them open.

`by_path` names the USB socket of an adapter, `by_id` the adapter by its serial number. Adapters of a kind without
serial numbers share one `by_id`; only `by_path` distinguishes them.
"""

import contextlib
import os
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Protocol, cast

import msgspec
from serial.tools import list_ports

DEV = Path("/dev")
PROC = Path("/proc")


class SerialPort(msgspec.Struct, frozen=True):
    """One port. What its adapter does not report is None."""

    device: str
    by_path: str | None
    by_id: str | None
    vendor: str | None
    product: str | None
    serial_number: str | None
    usb_id: str | None  # vendor and product number, "0403:6001"
    may_open: bool  # whether this process may read and write it
    held_by: tuple[str, ...]  # programs that have it open, as far as this process may see

    @property
    def stable(self) -> str:
        """The most stable name, for a configuration."""
        return self.by_path or self.by_id or self.device


class Listed(Protocol):
    """The fields of pyserial's ListPortInfo that are used here."""

    device: str
    manufacturer: str | None
    product: str | None
    serial_number: str | None
    vid: int | None
    pid: int | None


def serial_ports(dev: Path = DEV, listed: Iterable[Listed] | None = None) -> list[SerialPort]:
    """Every serial port, sorted by its stable name. `dev` and `listed` are for tests."""
    found = cast("Iterable[Listed]", list_ports.comports()) if listed is None else listed
    by_path, by_id = (_links(dev / "serial" / each) for each in ("by-path", "by-id"))
    ports = [_port(each, by_path, by_id) for each in found]
    return sorted(ports, key=lambda port: port.stable)


def holders(device: str, proc: Path = PROC) -> tuple[str, ...]:
    """Programs that have the device open, as `name (pid 123)`; those of other users only root can see."""
    target = os.path.realpath(device)
    processes = sorted((each for each in proc.iterdir() if each.name.isdigit()), key=lambda each: int(each.name))
    return tuple(f"{_name(each)} (pid {each.name})" for each in processes if target in _open_files(each))


def _port(listed: Listed, by_path: dict[str, str], by_id: dict[str, str]) -> SerialPort:
    real = os.path.realpath(listed.device)
    return SerialPort(
        device=listed.device,
        by_path=by_path.get(real),
        by_id=by_id.get(real),
        vendor=listed.manufacturer,
        product=listed.product,
        serial_number=listed.serial_number,
        usb_id=None if listed.vid is None or listed.pid is None else f"{listed.vid:04x}:{listed.pid:04x}",
        may_open=os.access(listed.device, os.R_OK | os.W_OK),
        held_by=holders(listed.device),
    )


def _links(folder: Path) -> dict[str, str]:
    """The symbolic links of a folder, by target; the shortest of several to one target."""
    if not folder.is_dir():
        return {}
    links = sorted(folder.iterdir(), key=lambda each: (-len(each.name), each.name))
    return {os.path.realpath(link): str(link) for link in links}


def _name(process: Path) -> str:
    try:
        return (process / "comm").read_text().strip()
    except OSError:  # it ended meanwhile
        return "?"


def _open_files(process: Path) -> Iterator[str]:
    try:
        descriptors = list((process / "fd").iterdir())
    except OSError:  # another user's, or ended meanwhile
        return
    for each in descriptors:
        with contextlib.suppress(OSError):  # closed meanwhile
            yield os.readlink(each)
