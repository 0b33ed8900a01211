"""Whatever an honest gateway lived through, its ledger is sound, and every session that has an entry is found."""

import json
import sqlite3
from collections.abc import AsyncGenerator, Generator, Sequence
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path
from unittest import mock

import msgspec
import pytest
from click.testing import CliRunner

from drivers.reading import RunState
from gateway.audit.verify import verify
from gateway.cli import main
from gateway.config.load import load_config
from gateway.ledger.store import open_ledger
from gateway.session import assessment, rules
from gateway.session.counting import Interval
from gateway.session.facts import HoldLifted
from gateway.session.increments import Increment, attained
from gateway.session.policy import Policy
from tests.support.pipeline import CONFIG, MINUTE_US, POLICY, FakeClock, Suite, facts_of

LIVE = CONFIG.replace('mode = "test"', 'mode = "live"').replace("simulated = true\n", "")
DAY_MIN = 1440
POLICIES = (
    "session_idle_s = 60",
    "finalise_after_h = 24",
    "max_gap_s = 30",
    "pause_tolerance_s = 60",
    'min_evidence = "flow"',
    'release = "dry_run"',
    "auto_release_limit_units = 1",
    "ambulatory_pump_counts_as_infusion = true",
    'infusion_end_basis = "all_iv_stop"',
)


class Clinic(Suite):
    """A suite whose gateway may be restarted under another policy, and whose patients have names of their own."""

    folder: Path

    async def restart(self, policy: str = "") -> None:
        """The gateway anew, under that policy."""
        (self.folder / "policy.toml").write_text(POLICY.replace('"7"', f'"{len(policy)}"') + policy + "\n")
        self.config = load_config(self.folder / "gateway.toml")
        await self.start()

    def wait(self, minutes: float) -> None:
        """The time passes, and nobody looks."""
        self.clock.us += round(minutes * MINUTE_US)

    async def treated(self, visit: str, post_min: float = 50) -> None:
        """A patient is cooled: an hour until the infusion's end, and on. The cap still cools."""
        await self.poll(2)
        self.state = RunState.RUNNING
        await self.poll(60)
        await self.ended(visit)
        await self.poll(post_min)

    async def ended(self, visit: str) -> None:
        """The patient is bound, and the infusion is over."""
        place = {"unit": "cap-01", "cap": 1, "visit": visit}
        await self.send_event(f"b-{visit}", "association.bound", 59, validated=True, asserted_by="scan", **place)
        order = {"visit": visit, "order": f"O-{visit}", "agent_class": "chemo", "source": "mar"}
        await self.send_event(f"s-{visit}", "infusion.started", 50, **order)
        await self.send_event(f"e-{visit}", "infusion.completed", 0, final=True, **order)

    async def stopped(self) -> None:
        """The cap stops, and is left alone for an hour."""
        self.state = RunState.STOPPED
        await self.poll(2)
        self.wait(60)
        await self.poll(1)

    async def signed(self, visit: str) -> None:
        """The session is charted and signed."""
        await self.send_event(f"p-{visit}", "preparation.charted", visit=visit, person="rn-1")
        await self.send_event(f"f-{visit}", "session.finalized", visit=visit, person="rn-1")

    async def corrected(self, visit: str, minutes_ago: float, version: int = 2) -> None:
        """The infusion's end turns out to have been another."""
        said = {"visit": visit, "order": f"O-{visit}", "source": "mar", "final": True, "version": version}
        await self.send_event(f"c-{visit}-{version}", "infusion.completed", minutes_ago, **said)


@asynccontextmanager
async def clinic(folder: Path) -> AsyncGenerator[Clinic]:
    (folder / "gateway.toml").write_text(LIVE)
    (folder / "policy.toml").write_text(POLICY)
    config = load_config(folder / "gateway.toml")
    clock = FakeClock()
    async with open_ledger(folder / "state" / "ledger.db", config.id, clock.now) as ledger:
        suite = Clinic(config, clock, ledger)
        suite.folder = folder
        await suite.start()
        yield suite
    assert_sound(folder)


def assert_sound(folder: Path) -> None:
    """`verify` has nothing to say, and every session is shown, exported and has one place."""
    path = folder / "state" / "ledger.db"
    assert verify(path).problems == ()
    connection = sqlite3.connect(path)
    tokens = {token for (token,) in connection.execute("SELECT DISTINCT session FROM entry WHERE session <> ''")}
    connection.close()
    for token in tokens:
        for command in (["show", str(path), token], ["export", str(path), token, "--out", str(folder / "audits")]):
            done = CliRunner().invoke(main, ["ledger", *command])
            assert done.exit_code == 0, done.output
    days = ["--from", "2026-01-01", "--to", "2030-01-01"]
    content = json.loads(CliRunner().invoke(main, ["ledger", "reconcile", str(path), *days, "--json"]).output)
    assert content["remainder"] == 0
    assert sorted(each["session"] for each in content["sessions"]) == sorted(tokens)


@pytest.mark.requirement("REQ-COUNT-6")
@pytest.mark.parametrize("policy", POLICIES)
async def test_a_policy_that_changes_in_a_session_and_before_its_charge(tmp_path: Path, policy: str) -> None:
    async with clinic(tmp_path) as suite:
        await suite.treated("V-1", post_min=20)
        await suite.restart(policy)
        await suite.poll(30)
        await suite.stopped()
        await suite.restart()
        suite.wait(DAY_MIN)
        await suite.poll(1)
        await suite.treated("V-2")
        await suite.restart(policy)
        await suite.stopped()
        await suite.signed("V-1")
        await suite.signed("V-2")
        assert [each["data"]["quantity"] for each in await suite.sent("/charge/json")][:1] == [2]


async def test_a_downtime_of_three_weeks_and_a_correction_after_it(tmp_path: Path) -> None:
    async with clinic(tmp_path) as suite:
        await suite.treated("V-1")
        await suite.stopped()
        await suite.treated("V-2", post_min=20)
        suite.state = RunState.STOPPED
        suite.wait(21 * DAY_MIN)
        await suite.restart()
        await suite.poll(2)
        await suite.corrected("V-1", 21 * DAY_MIN + 180)
        await suite.restart()
        await suite.treated("V-3")
        await suite.stopped()
        await suite.signed("V-3")


async def test_a_hold_that_is_lifted_on_day_six(tmp_path: Path) -> None:
    async with clinic(tmp_path) as suite:
        await suite.restart("auto_release_limit_units = 1")
        await suite.treated("V-1")
        await suite.stopped()
        await suite.signed("V-1")
        assert await suite.sent("/charge/json") == []
        for _ in range(6):
            suite.wait(DAY_MIN)
            await suite.poll(1)
        await suite.restart()
        (record,) = suite.pipeline.state.records.values()
        lifted = HoldLifted(
            at_us=suite.clock.us, known_at_us=suite.clock.us, token=record.token,
            person="cm-1", reason="seen", holds=("beyond_auto_release_limit",),
        )  # fmt: skip
        await suite.pipeline.record([lifted])
        assert [each["data"]["quantity"] for each in await suite.sent("/charge/json")] == [2]


@pytest.mark.parametrize("off_s", [60, -60])
async def test_a_clock_that_is_off_at_one_restart_and_right_at_the_next(tmp_path: Path, off_s: int) -> None:
    async with clinic(tmp_path) as suite:
        await suite.treated("V-1", post_min=20)
        suite.clock.us += off_s * 1_000_000
        await suite.restart()
        await suite.poll(20)
        suite.clock.us -= off_s * 1_000_000
        await suite.restart()
        await suite.poll(20)
        await suite.stopped()
        await suite.signed("V-1")
        await suite.corrected("V-1", 120)


async def test_sessions_restarted_at_every_step(tmp_path: Path) -> None:
    async with clinic(tmp_path) as suite:
        for number in range(4):
            visit = f"V-{number}"
            await suite.treated(visit, post_min=20)
            await suite.restart()
            await suite.poll(30)
            await suite.restart()
            await suite.stopped()
            await suite.restart()
            await suite.signed(visit)
            await suite.restart()
            suite.wait(2 * DAY_MIN)
            await suite.restart()
        await suite.corrected("V-0", 8 * DAY_MIN + 300)
        await suite.restart()


def later(intervals: Sequence[Interval], policy: Policy, until_us: int) -> tuple[tuple[Increment, ...], int | None]:
    """As `attained`, four minutes later."""
    slower = msgspec.structs.replace(policy, first_threshold_s=policy.first_threshold_s + 240)
    return attained(intervals, slower, until_us)


@contextmanager
def other_rules(revision: int) -> Generator[None]:
    """Another version, which announces a unit four minutes later."""
    with mock.patch.object(rules, "REVISION", revision), mock.patch.object(assessment, "attained", later):
        yield


async def test_a_version_that_counts_otherwise_says_so_and_each_is_held_to_its_own_rules(tmp_path: Path) -> None:
    path = tmp_path / "state" / "ledger.db"
    async with clinic(tmp_path) as suite:
        await suite.treated("V-1", post_min=18)
        await suite.stopped()
        await suite.signed("V-1")
        assert len(await suite.increments()) == 1
        suite.wait(4 * DAY_MIN)
        with other_rules(2):
            await suite.restart()
            await suite.treated("V-2", post_min=18)
            await suite.stopped()
            await suite.treated("V-3", post_min=22)
            assert len(await suite.increments()) == 2
            (changed,) = await facts_of(suite, "rules_changed")
            report = verify(path)
            assert (report.problems, report.increments, changed["revision"]) == ((), 1, 2)
            assert "by the rules of another version" in report.notes[0]
            await suite.restart()
            assert len(await facts_of(suite, "rules_changed")) == 1
        earlier = verify(path)  # by the version before, which can say nothing of the counts
        assert (earlier.problems, earlier.increments) == ((), 0)
        await suite.stopped()
        await suite.restart()  # who goes back to it says so too
        assert [each["revision"] for each in await facts_of(suite, "rules_changed")] == [2, 1]


async def counted_otherwise(folder: Path) -> None:
    """A version with other rules, which does not say so."""
    async with clinic(folder) as suite:
        with other_rules(rules.REVISION):
            await suite.treated("V-1", post_min=18)
            await suite.stopped()
            assert_sound(folder)


async def test_rules_that_changed_without_a_word_are_found(tmp_path: Path) -> None:
    with pytest.raises(AssertionError, match="which is not recorded"):
        await counted_otherwise(tmp_path)
