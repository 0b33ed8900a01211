"""A valid configuration is resolved; an invalid one is refused with every error, each at its line."""

import os
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

import msgspec
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from drivers.toml.document import TomlProblems
from gateway.config.load import examine, load_config
from gateway.messages.notation import Mode
from gateway.runtime.shipped import shipped_dir
from tests.unit.gateway.config.config_files import CONFIG, POLICY, certificates, examine_text, site

__all__ = ["certificates", "site"]


class Case(msgspec.Struct, frozen=True):
    """Replace `old` by `new` in the valid configuration; the error is at the `§` in `new`, or at the text `at`."""

    name: str
    old: str
    new: str
    path: str
    message: str
    at: str = ""

    def broken(self) -> tuple[str, int]:
        """The invalid text, and the line that the error must have."""
        assert self.old in CONFIG, self.old
        text = CONFIG.replace(self.old, self.new, 1)
        line = text.count("\n", 0, text.index(self.at or "§")) + 1
        return text.replace("§", ""), line


def case(name: str, old: str, new: str, path: str, message: str, at: str = "") -> Case:
    return Case(name, old, new, path, message, at)


CASES = [
    # shape
    case("no gateway table", "[gateway]", "[gatewai]§", "gatewai", "unknown key, accepted: gateway, mqtt"),
    case("unknown key", 'id = "gw-01"', '§iid = "gw-01"', "gateway.iid", "unknown key, accepted: site, id"),
    case("site in capitals", '"north"', '"North"§', "gateway.site", "accepted: 1 to 32 of a-z, 0-9 and -"),
    case("wildcard in id", 'id = "gw-01"', 'id = "gw/+"§', "gateway.id", "accepted: 1 to 32"),
    case("newline in id", 'id = "gw-01"', 'id = "gw-01\\n"§', "gateway.id", "accepted: 1 to 32"),
    case("id too long", 'id = "gw-01"', f'id = "{"a" * 33}"§', "gateway.id", "accepted: 1 to 32"),
    case("unknown mode", '"live"', '"production"§', "gateway.mode", "accepted: live, test"),
    case("mode missing", 'mode = "live"\n', "", "gateway.mode", "missing, accepted: live, test", at="[gateway]"),
    case("time zone unknown", "America/New_York", "America/Boston§", "gateway.time_zone", "no such time zone"),
    case("time zone a path", "America/New_York", "../../etc/passwd§", "gateway.time_zone", "no such time zone"),
    case("profiles no list", '["profiles"]', '"profiles"§', "gateway.profiles", "accepted: a list"),
    case("profiles missing", '["profiles"]', '["profiles", "more"]§', "gateway.profiles[1]", "is no directory"),
    case("state dir is a file", '"state"', '"policy.toml"§', "gateway.state_dir", "is no directory"),
    case("state dir in a file", '"state"', '"policy.toml/state"§', "gateway.state_dir", "is no directory"),
    case("state dir of a shell", '"state"', '"~/state"§', "gateway.state_dir", "accepted: a path from / on"),
    case("number as text", "keepalive_s = 15", 'keepalive_s = "15"§', "mqtt.keepalive_s", "accepted: a whole number"),
    case("keepalive too long", "keepalive_s = 15", "keepalive_s = 3600§", "mqtt.keepalive_s", "accepted: 300 or less"),
    case("health port", "127.0.0.1:9464", "127.0.0.1:99999§", "health.listen", "not an address, accepted: 127.0.0.1"),
    case("health host name", "127.0.0.1:9464", "gateway.example:1§", "health.listen", "not an address, accepted"),
    case("confirm polls 1", "confirm_polls = 2", "confirm_polls = 1§", "tracking.confirm_polls", "accepted: 2 or more"),
    case("period not finite", "poll_period_s = 20", "poll_period_s = inf§", "line[0].unit[0].poll_period_s", "finite"),
    case("period too long", "poll_period_s = 20", "poll_period_s = 31§", "line[0].unit[0].poll_period_s", "30.0 or"),
    case("offset too large", "offset_c = -0.3", "offset_c = -9§", "line[0].unit[0].offset[0].offset_c", "-5.0 or more"),
    case("offset date", "2026-10-01", '"October"§', "line[0].unit[0].offset[0].calibrated_on", "accepted: a date"),
    case("cap 0", "cap = 1", "cap = 0§", "line[0].unit[0].cap[0].cap", "accepted: 1 or more"),
    # not TOML
    case("not TOML", 'site = "north"', 'site = "north§', "", "not TOML"),
    case("key twice", 'id = "gw-01"', 'id = "gw-01"\nid = "gw-02"§', "", "not TOML"),
    # broker
    case("http broker", "mqtts://", "http://§", "mqtt.url", "accepted: mqtts://host"),
    case("clear text", "mqtts://", "mqtt://§", "mqtt.url", "readable on the network"),
    case("insecure with TLS", "[mqtt]", "[mqtt]\ninsecure = true§", "mqtt.insecure", "accepted with mqtts://: false"),
    case("TLS files in clear", '"mqtts://broker.example:8883"', '"mqtt://localhost"', "mqtt.ca_file", "accepted: mqtts://",
         at="ca_file"),
    case("password in the URL", "mqtts://", "mqtts://gw:hunter2@§", "mqtt.url", "user name or password stands"),
    case("broker without host", "broker.example:8883", ":8883§", "mqtt.url", "accepted: mqtts://host"),
    case("broker port", ":8883", ":88833§", "mqtt.url", "accepted: mqtts://host"),
    case("client id too long", '"capgate-gw-01"', f'"{"c" * 24}"§', "mqtt.client_id", "1 to 23"),
    case("client id wildcard", '"capgate-gw-01"', '"capgate/#"§', "mqtt.client_id", "1 to 23"),
    case("username alone", 'password_file = "secrets/password"', "", "mqtt.username", "together, or neither",
         at="username"),
    case("password alone", 'username = "gw-01"\n', "", "mqtt.password_file", "together, or neither",
         at="password_file"),
    case("password missing", "secrets/password", "secrets/passwort§", "mqtt.password_file", "cannot be read"),
    case("password open", "secrets/password", "secrets/open§", "mqtt.password_file", "open to everybody"),
    case("password empty", "secrets/password", "secrets/empty§", "mqtt.password_file", "is empty"),
    case("ledger key missing", "secrets/ledger.key", "secrets/other.key§", "ledger.key_file", "cannot be read"),
    case("ledger key open", "secrets/ledger.key", "secrets/open§", "ledger.key_file", "open to everybody"),
    case("ledger key another's", "secrets/ledger.key", "secrets/client.key§", "ledger.key_file", ":1 is no key"),
    case("ca missing", 'ca_file = "secrets/ca.crt"\n', "", "mqtt", "ca_file is missing", at="[mqtt]"),
    case("ca no certificate", "secrets/ca.crt", "policy.toml§", "mqtt.ca_file", "holds no certificate"),
    case("key of another", "secrets/client.key", "secrets/ca.key§", "mqtt.key_file", "is not the key of"),
    case("key with password", "secrets/client.key", "secrets/encrypted.key§", "mqtt.key_file", "without password"),
    case("certificate alone", 'key_file = "secrets/client.key"\n', "", "mqtt.cert_file",
         "together, or neither", at="cert_file"),
    case("certificate is a directory", "secrets/client.crt", "secrets§", "mqtt.cert_file", "cannot be read"),
    # policy
    case("policy missing", "policy.toml", "polity.toml§", "tracking.policy", "cannot be read"),
    case("no policy", '"policy.toml"', "[]§", "tracking.policy", "accepted: "),
    case("policy no text", '"policy.toml"', "7§", "tracking.policy", "accepted: a policy's name, a .toml file"),
    case("policy in a list", '"policy.toml"', '["policy.toml", "no-such"]§', "tracking.policy[1]", "no such policy"),
    case("policy twice", '"policy.toml"', '["policy.toml", "policy.toml"]§', "tracking.policy[1]", "effect on 2026"),
    case("policy unknown", "policy.toml", "no-such§", "tracking.policy", "no such policy, accepted: "),
    # lines and units
    case("line twice", 'id = "bay-b"', 'id = "bay-a"§', "line[1].id", "another line is named bay-a in line 27"),
    case("bus twice", "rfc2217://10.20.0.32:4001", "socket://10.20.0.31:4001§", "line[1].url",
         "bay-a in line 28 opens the same, accepted: all its units in that [[line]]"),
    case("port twice by another way", "rfc2217://10.20.0.32:4001", "rfc2217://10.20.0.31:4001§", "line[1].url",
         "bay-a in line 28 opens the same"),
    case("unit twice", 'id = "cap-08"', 'id = "cap-07"§', "line[1].unit[0].id", "another unit is named cap-07"),
    case("chair twice", '"c13"', '"c12"§', "line[1].unit[0].cap[0].chair", "another chair is named c12 in line 38"),
    case("address twice", "unit_id = 2", "unit_id = 1§", "line[1].unit[1].unit_id", "another unit of this line"),
    case("cap twice", 'cap = 1\nchair = "c13"', "cap = 1\nchair = 'c13'\n\n[[line.unit.cap]]\ncap = 1§\nchair = 'c14'",
         "line[1].unit[0].cap[1].cap", "another cap is named 1"),
    case("line unknown scheme", "rfc2217://", "telnet://§", "line[1].url", "not a line, accepted"),
    case("line without port", "rfc2217://10.20.0.32:4001", "socket://10.20.0.32§", "line[1].url", "not a line"),
    case("line with password", "rfc2217://", "rfc2217://me:hunter2@§", "line[1].url", "user name or password"),
    case("line option", "10.20.0.32:4001", "10.20.0.32:4001?logging=debug§", "line[1].url", "unknown option"),
    case("profile unknown", '"julabo-cf"', '"julabo-fc"§', "line[0].unit[0].profile", "no such profile, accepted: "),
    case("override of a point", '"timing.gap_ms" = 120', '"point.at" = 1§', "line[1].set.point.at", "not for a site"),
    case("override no number", "= 19200", '= "fast"§', "line[1].set.link.serial.baud", "accepted: a whole number"),
    case("two dialects on a line", 'profile = "smc-hrs"\nunit_id = 2',
         'profile = "eurotherm-3200"§\nunit_id = 2', "line[1].unit[1].profile", "accepted on the line of cap-08"),
    case("two settings on a line", "unit_id = 2", 'unit_id = 2\nset = { "link.serial.baud" = 9600 }',
         "line[1].unit[1].profile", "differs in link.serial, accepted on the line of cap-08: 19200 7E1",
         at='profile = "smc-hrs"\nunit_id = 2'),
    case("address out of range", "unit_id = 2", "unit_id = 100§", "line[1].unit[1].unit_id", "accepted: 1 to 99"),
    case("address where there is none", '"julabo-cf"', '"julabo-cf"\nunit_id = 1§', "line[0].unit[0].unit_id", "no"),
    case("cap beyond the profile", "cap = 1", "cap = 3§", "line[0].unit[0].cap[0].cap", "accepted: 1 to 1"),
    case("too fast for the kind", "poll_period_s = 20", "poll_period_s = 0.2§", "line[0].unit[0].poll_period_s",
         "too fast for julabo-cf, accepted: 2 or more"),
    case("offset of no point", '"coolant_supply"', '"room"§', "line[0].unit[0].offset[0].point",
         "no temperature, accepted: coolant_supply"),
    case("simulated in live", '"julabo-cf"', '"julabo-cf"\nsimulated = true§', "line[0].unit[0].simulated", "none"),
    case("modbus-tcp on a serial line", 'profile = "smc-hrs"\nunit_id = 1', 'profile = "reference-cap-unit"§',
         "line[1].unit[0].profile", "speaks modbus-tcp, accepted on this line"),
    case("two without address", 'profile = "smc-hrs"\nunit_id = 2', 'profile = "julabo-cf"§',
         "line[1].unit[1].profile", "has no address, accepted: alone on its line"),
    case("line without unit", 'unit_id = 2\npoll_period_s = 20\n',
         'unit_id = 2\n\n[[line]]§\nid = "bay-c"\nurl = "/dev/x"\n', "line[2].unit", "missing"),
    case("line with no units", 'unit_id = 2\npoll_period_s = 20\n',
         'unit_id = 2\n\n[[line]]\nid = "bay-c"\nurl = "/dev/x"\nunit = []§\n', "line[2].unit", "empty, accepted: one"),
]  # fmt: skip


@pytest.mark.parametrize("broken", [pytest.param(each, id=each.name) for each in CASES])
def test_each_error_is_named_with_file_line_key_and_remedy(site: Path, broken: Case) -> None:
    text, line = broken.broken()
    errors = examine_text(site, text).errors
    found = [(each.file, each.line) for each in errors if each.path == broken.path and broken.message in each.message]
    assert found == [(str(site / "gateway.toml"), line)], [str(each) for each in errors]
    assert "hunter2" not in "".join(map(str, errors))


def test_a_sound_configuration_has_nothing_to_tell_and_is_resolved(site: Path) -> None:
    examined = examine(site / "gateway.toml")
    assert (examined.errors, examined.warnings) == ((), ())
    config = load_config(site / "gateway.toml")
    assert (config.site, config.id, config.mode, config.confirm_polls) == ("north", "gw-01", Mode.LIVE, 2)
    assert (config.state_dir, str(config.time_zone)) == (site / "state", "America/New_York")
    assert config.health_listen == ("127.0.0.1", 9464)
    assert config.policies.texts == (POLICY,)
    assert (config.mqtt.host, config.mqtt.port, config.mqtt.client_id) == ("broker.example", 8883, "capgate-gw-01")
    assert config.mqtt.password_file == site / "secrets" / "password"
    assert config.mqtt.tls is not None
    assert config.mqtt.tls.key == site / "secrets" / "client.key"
    assert "s3cret" not in repr(config)


def test_a_site_profile_counts_before_a_shipped_one_of_the_same_id(site: Path) -> None:
    shipped = (shipped_dir() / "profiles" / "julabo-cf.toml").read_text()
    (site / "profiles" / "mine.toml").write_text(shipped.replace("revision = 1", "revision = 7", 1))
    assert load_config(site / "gateway.toml").lines[0].units[0].profile.identity.revision == 7


def test_all_errors_come_at_once_whatever_their_kind(site: Path) -> None:
    text = CONFIG
    for old, new in {
        "keepalive_s = 15": 'keepalive_s = "15"',  # a wrong type
        'chair = "c13"': 'chair = "c12"',  # a name used twice
        "policy.toml": "nowhere.toml",  # a file that is missing
        'id = "cap-09"': 'id = "Cap 09"',  # a unit that is out of shape
        'profile = "julabo-cf"': 'profile = "none"',  # a profile that is missing
        "19200": "1",  # an override out of range
    }.items():
        text = text.replace(old, new, 1)
    paths = {each.path for each in examine_text(site, text).errors}
    assert paths == {
        "mqtt.keepalive_s",
        "tracking.policy",
        "line[0].unit[0].profile",
        "line[1].set.link.serial.baud",
        "line[1].unit[0].cap[0].chair",
        "line[1].unit[1].id",
    }


def test_a_gateway_id_too_long_for_a_client_id_asks_for_one(site: Path) -> None:
    text = CONFIG.replace('id = "gw-01"', 'id = "gw-01-of-the-north"').replace('client_id = "capgate-gw-01"\n', "")
    (error,) = examine_text(site, text).errors
    assert (error.path, "capgate-gw-01-of-the-north too long" in error.message) == ("mqtt", True)


def test_test_and_live_have_no_client_id_in_common(site: Path) -> None:
    without = CONFIG.replace('client_id = "capgate-gw-01"\n', "")
    ids: dict[Mode, set[str]] = {mode: set() for mode in Mode}
    for text in (CONFIG, CONFIG.replace("capgate-gw-01", "ward-7"), without):
        for mode in Mode:
            (site / "gateway.toml").write_text(text.replace('mode = "live"', f'mode = "{mode}"'))
            ids[mode].add(load_config(site / "gateway.toml").mqtt.client_id)
    assert ids[Mode.LIVE] == {"capgate-gw-01", "ward-7"}, "as they were before: a session of a live gateway is kept"
    assert ids[Mode.TEST] == {"capgate-gw-01-t", "ward-7-t"}


def test_a_client_id_that_the_mode_makes_too_long_is_an_error_with_the_length_that_is_accepted(site: Path) -> None:
    text = CONFIG.replace('"capgate-gw-01"', f'"{"c" * 22}"')
    assert examine_text(site, text).errors == ()
    (error,) = examine_text(site, text.replace('mode = "live"', 'mode = "test"')).errors
    assert (error.path, "1 to 21" in error.message) == ("mqtt.client_id", True)


@pytest.mark.parametrize(
    ("old", "new", "path", "message"),
    [
        ("mqtts://broker.example:8883", "mqtt://broker.example", "mqtt.insecure", "IN CLEAR"),
        ('username = "gw-01"\npassword_file = "secrets/password"', "", "mqtt", "not told who connects"),
        ("127.0.0.1:9464", "0.0.0.0:9464", "health.listen", "whoever reaches this address reads"),
        ("127.0.0.1:9464", "127.0.0.1:0", "health.listen", "another one at each start, better: a port"),
        ("socket://10.20.0.31:4001", "/dev/ttyUSB7", "line[0].url", "another adapter after a restart"),
        ("socket://10.20.0.31:4001", "/dev/serial/by-path/none", "line[0].url", "not there now"),
        ("poll_period_s = 20", "poll_period_s = 4", "line[0].unit", "polls are late"),
    ],
)
def test_what_can_be_started_but_should_be_known_is_a_warning(
    site: Path, old: str, new: str, path: str, message: str
) -> None:
    text = CONFIG.replace(old, new, 1)
    if path.startswith("mqtt"):
        text = "\n".join(line for line in text.splitlines() if not line.startswith(("cert_file", "key_file")))
    if path == "mqtt.insecure":
        text = text.replace('ca_file = "secrets/ca.crt"', "insecure = true")
    examined = examine_text(site, text)
    assert examined.errors == ()
    assert [message in each.message for each in examined.warnings if each.path == path].count(True) == 1
    assert examined.config is not None
    assert examined.config.warnings == examined.warnings


@contextmanager
def as_nobody() -> Generator[None]:
    """Drop root's rights, if the tests run as root."""
    before = os.geteuid()
    if before == 0:
        os.seteuid(65534)
    try:
        yield
    finally:
        os.seteuid(before)


@pytest.mark.parametrize("state_dir", ["closed", "closed/below"])
def test_a_state_directory_that_cannot_be_written_is_an_error(state_dir: str) -> None:
    with TemporaryDirectory() as name:
        folder = Path(name)
        folder.chmod(0o755)
        (folder / "closed").mkdir(mode=0o555)
        (folder / "gateway.toml").write_text(CONFIG.replace('"state"', f'"{state_dir}"'))
        with as_nobody():
            errors = examine(folder / "gateway.toml").errors
    told = [each.message for each in errors if each.path == "gateway.state_dir"]
    assert ["cannot be written by this user" in each for each in told] == [True]


def test_policies_are_in_the_order_in_which_they_take_effect(site: Path) -> None:
    later = POLICY.replace("2026-01-01", "2027-01-01").replace('revision = "1"', 'revision = "2"')
    (site / "later.toml").write_text(later)
    (site / "gateway.toml").write_text(CONFIG.replace('"policy.toml"', '["later.toml", "policy.toml"]'))
    assert load_config(site / "gateway.toml").policies.texts == (POLICY, later)


def test_two_policies_of_one_name_and_revision_are_an_error(site: Path) -> None:
    (site / "later.toml").write_text(POLICY.replace("2026-01-01", "2027-01-01"))
    (site / "gateway.toml").write_text(CONFIG.replace('"policy.toml"', '["policy.toml", "later.toml"]'))
    (error,) = examine(site / "gateway.toml").errors
    assert error.path == "tracking.policy[1]"
    assert "midpoint revision 1 is another of these already" in error.message


def test_a_policy_that_nobody_approved_is_a_warning(site: Path) -> None:
    (site / "policy.toml").write_text(POLICY.replace("J. Doe, compliance", ""))
    (warning,) = examine(site / "gateway.toml").warnings
    assert "approved by nobody" in warning.message


def test_a_policy_that_takes_a_cap_from_its_patient_within_a_pause_is_a_warning(site: Path) -> None:
    (site / "policy.toml").write_text(POLICY + "session_idle_s = 300\n")
    (warning,) = examine(site / "gateway.toml").warnings
    assert "session_idle_s (300)" in warning.message


def test_a_policy_that_asks_for_more_evidence_than_a_unit_has_is_a_warning(site: Path) -> None:
    (site / "policy.toml").write_text(POLICY + 'min_evidence = "flow"\n')
    assert any(
        "julabo-cf proves circulation less well" in each.message for each in examine(site / "gateway.toml").warnings
    )


def test_errors_in_a_policy_are_named_with_the_policys_own_lines(site: Path) -> None:
    (site / "policy.toml").write_text(POLICY.replace("960", '"960 s"'))
    (error,) = examine(site / "gateway.toml").errors
    assert (error.file, error.line, error.path) == (str(site / "policy.toml"), 5, "first_threshold_s")


def test_a_credential_of_systemd_goes_before_the_file_of_its_name(
    site: Path, tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch
) -> None:
    credentials = tmp_path_factory.mktemp("credentials")
    (credentials / "password").write_text("other")
    (credentials / "password").chmod(0o400)
    monkeypatch.setenv("CREDENTIALS_DIRECTORY", str(credentials))
    config = load_config(site / "gateway.toml")
    assert config.mqtt.password_file == credentials / "password"
    assert config.mqtt.tls is not None
    assert config.mqtt.tls.key == site / "secrets" / "client.key"


def test_load_config_raises_what_examine_finds(site: Path) -> None:
    (site / "gateway.toml").write_text(CONFIG.replace('"c13"', '"c12"'))
    with pytest.raises(TomlProblems, match="another chair is named c12"):
        load_config(site / "gateway.toml")


@pytest.mark.parametrize("content", [b"", b"\xff\xfe", b"[gateway", b"line = 3\n", b"line = [3]\nmqtt = []\n"])
def test_a_file_that_is_no_configuration_is_an_error_not_a_crash(site: Path, content: bytes) -> None:
    (site / "gateway.toml").write_bytes(content)
    assert examine(site / "gateway.toml").errors


VALUES = [
    "",
    "0",
    "-1",
    "1e400",
    "nan",
    "true",
    '""',
    '"\\u0000"',
    '"../../x"',
    '"é"',
    "[]",
    "[[]]",
    "{}",
    "2026-10-01",
    "[1, {}]",
]


@pytest.mark.slow
@settings(max_examples=500, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_no_mutation_of_a_configuration_ends_in_a_traceback(site: Path, data: st.DataObject) -> None:
    lines: list[str] = list(CONFIG.splitlines())
    for _ in range(data.draw(st.integers(1, 3))):
        at = data.draw(st.integers(0, len(lines) - 1))
        match data.draw(st.sampled_from(["value", "drop", "double", "swap", "key", "text"])):
            case "value":
                lines[at] = lines[at].partition("=")[0] + "= " + data.draw(st.sampled_from(VALUES))
            case "drop":
                lines[at] = ""
            case "double":
                lines[at] += "\n" + lines[at]
            case "swap":
                other = data.draw(st.integers(0, len(lines) - 1))
                lines[at], lines[other] = lines[other], lines[at]
            case "key":
                lines[at] = data.draw(st.sampled_from(["id", "set", "unit", "line", "x.y", '"a b"'])) + " = 1"
            case _:
                cut = data.draw(st.integers(0, len(lines[at])))
                lines[at] = (
                    lines[at][:cut] + data.draw(st.text(st.characters(codec="utf-8"), max_size=3)) + lines[at][cut:]
                )
    examined = examine_text(site, "\n".join(lines))
    assert (examined.config is None) == bool(examined.errors)
    assert all(each.file and each.message for each in (*examined.errors, *examined.warnings))


def test_a_policy_with_another_calendar_than_the_gateways_is_a_warning(site: Path) -> None:
    (site / "policy.toml").write_text(POLICY.replace("America/New_York", "Europe/London"))
    (warning,) = load_config(site / "gateway.toml").warnings
    assert warning.path == "gateway.time_zone"
    assert "Europe/London" in warning.message


def test_a_profile_that_calls_itself_proven_in_the_field_is_known(site: Path) -> None:
    shipped = (shipped_dir() / "profiles" / "julabo-cf.toml").read_text()
    (site / "profiles" / "own.toml").write_text(shipped.replace('trust = "peer"', 'trust = "field"'))
    (warning,) = examine(site / "gateway.toml").warnings
    assert (warning.path, warning.line) == ("line[0].unit[0].profile", 32)
    assert 'whoever wrote it vouches for it, better: "bench"' in warning.message
