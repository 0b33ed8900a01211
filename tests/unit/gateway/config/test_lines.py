"""The lines of a configuration: their resolution, which units may share one, and the load of a line."""

from datetime import date
from pathlib import Path

import msgspec
import pytest

from drivers.dialects.base import Numbers
from drivers.dialects.registry import DialectName
from drivers.habits import Connection, LineHabits
from gateway.config.lines import LineSpec, SensorOffset, line_digest
from gateway.config.load import load_config
from tests.unit.gateway.config.config_files import CONFIG, certificates, examine_text, site

__all__ = ["certificates", "site"]


def test_lines_and_units_are_resolved_with_their_overrides(site: Path) -> None:
    bay_a, bay_b = load_config(site / "gateway.toml").lines
    assert (bay_a.id, bay_a.dialect, bay_a.baud) == ("bay-a", DialectName.JULABO, None)
    assert (bay_b.dialect, bay_b.baud, bay_b.serial.baud) == (DialectName.MODBUS_ASCII, 19200, 19200)
    assert bay_b.timing.gap_s == 0.12
    assert [(unit.id, unit.unit_id, dict(unit.chairs)) for unit in bay_b.units] == [
        ("cap-08", 1, {1: "c13"}),
        ("cap-09", 2, {}),
    ]
    (julabo,) = bay_a.units
    assert (julabo.unit_id, julabo.poll_period_s, julabo.simulated) == (None, 20.0, False)
    assert julabo.offsets == (SensorOffset("coolant_supply", -0.3, date(2026, 10, 1)),)


def test_an_address_that_is_left_out_is_the_kinds_usual_one(site: Path) -> None:
    (site / "gateway.toml").write_text(CONFIG.replace("unit_id = 1\n", "", 1))
    assert load_config(site / "gateway.toml").lines[1].units[0].unit_id == 1


def test_polls_that_cannot_fit_into_the_lines_time_are_an_error(site: Path) -> None:
    head, tail = CONFIG.split('id = "bay-b"')
    tail = tail.replace("19200", '1200, "timing.fastest_poll_ms" = 1000').replace(
        "poll_period_s = 20", "poll_period_s = 1"
    )
    (error,) = examine_text(site, f'{head}id = "bay-b"{tail}').errors
    # two units; 72 characters of 10 bits at 1200 baud and a gap of 120 ms take 720 ms of every second
    assert (error.path, error.line) == ("line[1].unit", head.count("\n") + 5)
    assert "busy for 144% of the time, accepted: longer poll_period_s" in error.message


TWO_CONNECTIONS = """\

[[line]]
id = "net-1"
url = "socket://10.20.0.33:502"

[[line.unit]]
id = "cap-11"
profile = "reference-cap-unit"
unit_id = 1

[[line]]
id = "net-2"
url = "socket://10.20.0.33:502"

[[line.unit]]
id = "cap-12"
profile = "reference-cap-unit"
unit_id = 2
"""


def test_several_connections_may_go_to_one_modbus_tcp_server(site: Path) -> None:
    assert examine_text(site, CONFIG + TWO_CONNECTIONS).errors == ()


def test_units_behind_one_modbus_tcp_server_have_addresses_of_their_own(site: Path) -> None:
    (error,) = examine_text(site, CONFIG + TWO_CONNECTIONS.replace("unit_id = 2", "unit_id = 1")).errors
    assert (error.path, "another unit at this URL is named 1" in error.message) == ("line[3].unit[0].unit_id", True)


def test_a_bus_behind_a_socket_is_one_line_also_beside_modbus_tcp(site: Path) -> None:
    rtu = 'set = { "dialect" = "modbus-rtu" }\n\n[[line.unit]]\nid = "cap-12"'
    (error,) = examine_text(site, CONFIG + TWO_CONNECTIONS.replace('\n[[line.unit]]\nid = "cap-12"', rtu)).errors
    assert (error.path, "only modbus-tcp" in error.message) == ("line[3].url", True)


def test_one_serial_port_under_two_names_is_told(site: Path, tmp_path: Path) -> None:
    (tmp_path / "port").touch()
    (tmp_path / "alias").symlink_to("port")
    text = CONFIG.replace("socket://10.20.0.31:4001", f"{tmp_path}/port").replace(
        "rfc2217://10.20.0.32:4001", f"{tmp_path}/alias"
    )
    (error,) = examine_text(site, text).errors
    assert (error.path, "opens the same" in error.message) == ("line[1].url", True)


class TestDigests:
    """The digests by which two gateways compare their lines."""

    @pytest.fixture
    def line(self, site: Path) -> LineSpec:
        return load_config(site / "gateway.toml").lines[1]

    def digest(self, line: LineSpec, url: str, box: str = "box-a", unit: int = 0) -> str | None:
        moved = msgspec.structs.replace(line, url=url)
        return line_digest(moved, moved.units[unit], box)

    def test_a_unit_on_the_network_has_the_same_for_whoever_reads_it(self, line: LineSpec) -> None:
        here = self.digest(line, "socket://moxa-1:4001")
        assert here == self.digest(line, "rfc2217://MOXA-1:4001?poll_modem", box="box-b")
        others = [("socket://moxa-1:4002", 0), ("socket://moxa-2:4001", 0), ("socket://moxa-1:4001", 1)]
        assert here not in [self.digest(line, url, unit=unit) for url, unit in others]

    @pytest.mark.parametrize(
        "url", ["/dev/serial/by-path/a", "socket://127.0.0.1:4001", "socket://[::1]:4001", "socket://localhost:4001"]
    )
    def test_what_is_the_boxs_own_is_one_within_the_box(self, line: LineSpec, url: str) -> None:
        assert self.digest(line, url) == self.digest(line, url)
        assert self.digest(line, url) != self.digest(line, url, box="box-b")
        assert self.digest(line, url, box="") is None

    def test_a_port_is_one_by_whatever_link_it_is_named(self, line: LineSpec, tmp_path: Path) -> None:
        (tmp_path / "port").touch()
        (tmp_path / "link").symlink_to(tmp_path / "port")
        assert self.digest(line, str(tmp_path / "link")) == self.digest(line, str(tmp_path / "port"))


UNNUMBERED = """\
url = "socket://10.20.0.33:502"
transactions = "ignored"
unit_ids = "ignored"

[[line.unit]]
id = "cap-11"
profile = "reference-cap-unit"
"""


def test_numbers_that_a_server_does_not_return_are_excused_for_a_unit_alone(site: Path) -> None:
    alone = f'{CONFIG}\n[[line]]\nid = "net-1"\n{UNNUMBERED}'
    (site / "gateway.toml").write_text(alone)
    line = load_config(site / "gateway.toml").lines[2]
    assert line.habits == LineHabits(Numbers.IGNORED, Numbers.IGNORED)
    assert line.habits.dialect(line.dialect).needs_drain
    second = '[[line.unit]]\nid = "cap-12"\nprofile = "reference-cap-unit"\nunit_id = 2\n'
    other_line = f'[[line]]\nid = "net-2"\nurl = "socket://10.20.0.33:502"\n{second}'
    for text in (f"{alone}\n{second}", f"{alone}\n{other_line}"):
        errors = examine_text(site, text).errors
        assert [each.path for each in errors] == ["line[2].transactions", "line[2].unit_ids"]
        assert all("2 units are asked at this URL" in each.message for each in errors)
    serial = CONFIG.replace('id = "bay-a"\n', 'id = "bay-a"\nunit_ids = "ignored"\n')
    (error,) = examine_text(site, serial).errors
    assert (error.path, "julabo has no such numbers, accepted: echoed" in error.message) == ("line[0].unit_ids", True)


def test_a_connection_may_be_opened_for_each_poll_and_a_port_may_not(site: Path) -> None:
    each = '\nconnection = "each-poll"\n'
    (site / "gateway.toml").write_text(CONFIG.replace('4001"\n', f'4001"{each}'))
    lines = load_config(site / "gateway.toml").lines
    assert [line.habits.connection for line in lines] == [Connection.EACH_POLL] * 2
    port = CONFIG.replace('"rfc2217://10.20.0.32:4001"\n', f'"/dev/serial/by-path/x"{each}')
    (error,) = examine_text(site, port).errors
    assert (error.path, "accepted: kept" in error.message) == ("line[1].connection", True)
