"""`capgate ports`: lists this machine's serial ports by stable paths."""

import sys
from collections import Counter

import click
import msgspec

from drivers.transport.ports import SerialPort, serial_ports

_EPILOG = """\
\b
Examples:
  capgate ports
  sudo capgate ports --json
\b
Exit codes:
  0  there are serial ports
  1  there are none
"""


@click.command(epilog=_EPILOG)
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def command(as_json: bool) -> None:
    """List serial ports by stable path, with what each adapter says of itself and who has it open.

    A configuration should name a port by its first name here: it stays the same after a restart, and tells two
    adapters of a kind apart. Programs of other users are seen by root alone.
    """
    ports = serial_ports()
    if as_json:
        listed = [{**msgspec.structs.asdict(port), "stable": port.stable} for port in ports]
        click.echo(msgspec.json.format(msgspec.json.encode({"ports": listed}), indent=2))
    elif ports:
        click.echo("\n".join(line for port in ports for line in _lines(port)))
        for line in _alike(ports):
            click.echo(line)
    else:
        click.echo("no serial port: plug the adapter in, and look at the kernel's word for it with dmesg")
    sys.exit(0 if ports else 1)


def _lines(port: SerialPort) -> list[str]:
    adapter = " ".join(filter(None, (port.vendor, port.product))) or "a port of the board, or an adapter without a name"
    serial = f", serial number {port.serial_number}" if port.serial_number else ""
    usb = f", USB {port.usb_id}" if port.usb_id else ""
    lines = [port.stable, f"    {adapter}{serial}{usb}"]
    lines += [f"    also {name}" for name in (port.by_id, port.device) if name and name != port.stable]
    if not port.may_open:
        lines.append("    your user may not open it: sudo usermod -aG dialout NAME, then log in again")
    if port.held_by:
        lines.append(f"    open in {', '.join(port.held_by)}")
    return lines


def _alike(ports: list[SerialPort]) -> list[str]:
    """A warning for each group of adapters with equal USB id and serial number, which only the socket distinguishes."""
    kinds = Counter((port.usb_id, port.serial_number) for port in ports if port.usb_id)
    return [
        f"{count} adapters {usb_id} say the same of themselves: only the path tells them apart, label the sockets"
        for (usb_id, _), count in kinds.items()
        if count > 1
    ]
