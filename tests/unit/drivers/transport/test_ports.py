"""Serial ports by stable path: two adapters of a kind are told apart, and whoever holds a port is named."""

import json
import os
from pathlib import Path

import pytest
from click.testing import CliRunner

from drivers.transport import ports
from drivers.transport.ports import Listed, SerialPort, holders, serial_ports
from gateway.cli.ports import command


class Adapter:
    """An adapter as pyserial lists it."""

    def __init__(self, device: Path, serial_number: str | None, vid: int | None = 0x0403) -> None:
        self.device = str(device)
        self.manufacturer: str | None = "FTDI" if vid else None
        self.product: str | None = "USB-RS485" if vid else None
        self.serial_number = serial_number
        self.vid = vid
        self.pid: int | None = 0x6001 if vid else None


def plug(dev: Path, name: str, path: str, by_id: str | None) -> Path:
    """A device with its links, as udev makes them."""
    device = dev / name
    device.write_bytes(b"")
    for folder, link in (("by-path", path), ("by-id", by_id)):
        (dev / "serial" / folder).mkdir(parents=True, exist_ok=True)
        if link:
            (dev / "serial" / folder / link).unlink(missing_ok=True)
            (dev / "serial" / folder / link).symlink_to(device)
    return device


@pytest.fixture
def twins(tmp_path: Path) -> list[SerialPort]:
    """Two adapters of a kind without serial numbers, which share their name by id."""
    first, second = (plug(tmp_path, f"ttyUSB{at}", f"pci-usb-0:{at}", "usb-FTDI_USB-RS485") for at in (0, 1))
    listed: list[Listed] = [Adapter(second, None), Adapter(first, None)]
    return serial_ports(tmp_path, listed)


def test_adapters_of_a_kind_are_told_apart_by_their_sockets(twins: list[SerialPort], tmp_path: Path) -> None:
    by_path = tmp_path / "serial" / "by-path"
    assert [port.stable for port in twins] == [str(by_path / "pci-usb-0:0"), str(by_path / "pci-usb-0:1")]
    assert [Path(port.device).name for port in twins] == ["ttyUSB0", "ttyUSB1"]
    assert [port.by_id for port in twins].count(None) == 1  # one name cannot lead to both
    assert all(port.may_open for port in twins)


def test_the_shortest_of_several_names_is_taken(tmp_path: Path) -> None:
    device = plug(tmp_path, "ttyUSB0", "pci-0000:00:14.0-usbv2-0:1:1.0-port0", None)
    (tmp_path / "serial" / "by-path" / "pci-0000:00:14.0-usb-0:1:1.0-port0").symlink_to(device)
    (port,) = serial_ports(tmp_path, [Adapter(device, "A1")])
    assert port.by_path is not None
    assert port.by_path.endswith("pci-0000:00:14.0-usb-0:1:1.0-port0")
    assert (port.serial_number, port.usb_id, port.vendor) == ("A1", "0403:6001", "FTDI")


def test_a_port_of_the_board_has_its_device_name_alone(tmp_path: Path) -> None:
    device = tmp_path / "ttyS0"
    device.write_bytes(b"")
    (port,) = serial_ports(tmp_path, [Adapter(device, None, vid=None)])
    assert (port.stable, port.usb_id, port.by_path) == (str(device), None, None)


def test_whoever_holds_a_port_is_named() -> None:
    near, far = os.openpty()
    try:
        own = f"{Path('/proc/self/comm').read_text().strip()} (pid {os.getpid()})"
        assert own in holders(os.ttyname(far))
    finally:
        os.close(near)
        os.close(far)


def shown(found: list[SerialPort], monkeypatch: pytest.MonkeyPatch, *options: str) -> tuple[int, str]:
    monkeypatch.setattr("gateway.cli.ports.serial_ports", lambda: found)
    result = CliRunner().invoke(command, list(options))
    return result.exit_code, result.stdout


def test_the_list_warns_of_twins(twins: list[SerialPort], monkeypatch: pytest.MonkeyPatch) -> None:
    code, text = shown(twins, monkeypatch)
    assert code == 0
    assert "2 adapters 0403:6001 say the same of themselves" in text
    assert text.splitlines()[0] == twins[0].stable


def test_the_list_is_json_too(twins: list[SerialPort], monkeypatch: pytest.MonkeyPatch) -> None:
    code, text = shown(twins, monkeypatch, "--json")
    assert (code, [port["stable"] for port in json.loads(text)["ports"]]) == (0, [port.stable for port in twins])


def test_no_port_is_said_and_is_exit_code_1(monkeypatch: pytest.MonkeyPatch) -> None:
    code, text = shown([], monkeypatch)
    assert (code, text[:14]) == (1, "no serial port")
    assert shown([], monkeypatch, "--json") == (1, '{\n  "ports": []\n}\n')


def test_this_machine_can_be_listed() -> None:
    assert all(port.device.startswith(str(ports.DEV)) for port in serial_ports())
