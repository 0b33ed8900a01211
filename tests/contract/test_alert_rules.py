"""Alert rules and dashboard: Prometheus takes both, each rule fires, and every metric is on a gateway's page."""

import asyncio
import json
import re
import signal
import subprocess
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import msgspec
import pytest

from tests.broker.deployed import DEPLOY
from tests.broker.harness import Mosquitto
from tests.support import suite
from tests.support.tools import tool

ROOT = Path(__file__).parents[2]
RULES = DEPLOY / "prometheus-alerts.yml"
PLAYED = ROOT / "tests" / "data" / "prometheus-alerts.test.yml"
PAGE = ROOT / "docs" / "how-to" / "monitor.md"
ALERT = re.compile(r"^ +- alert: (\w+)$", re.MULTILINE)
METRIC = re.compile(r"\b(?:capgate|process)_[a-z0-9_]+")


class _Target(msgspec.Struct):
    expr: str


class _Panel(msgspec.Struct):
    title: str
    targets: list[_Target]


class _Variables(msgspec.Struct):
    list: list[dict[str, object]]


class _Dashboard(msgspec.Struct):
    panels: list[_Panel]
    templating: _Variables


def dashboard() -> _Dashboard:
    return msgspec.json.decode((DEPLOY / "grafana-dashboard.json").read_bytes(), type=_Dashboard)


def expressions() -> Iterator[str]:
    for panel in dashboard().panels:
        for target in panel.targets:
            yield target.expr.replace("$instance", ".*")


def promtool(*arguments: str | Path) -> None:
    ran = subprocess.run([tool("promtool"), *arguments], capture_output=True, text=True, check=False)
    assert ran.returncode == 0, ran.stdout + ran.stderr


def test_prometheus_takes_the_rules() -> None:
    promtool("check", "rules", "--lint-fatal", RULES)


def test_each_rule_fires_when_it_should_and_is_silent_otherwise() -> None:
    promtool("test", "rules", PLAYED)


def test_no_rule_is_left_out_of_what_is_played() -> None:
    played = PLAYED.read_text()
    for alert in ALERT.findall(RULES.read_text()):
        assert len(re.findall(rf"alertname: {alert}\n +exp_alerts:\n +- exp_labels", played)) == 1, alert
        assert len(re.findall(rf"alertname: {alert}, exp_alerts: \[\]", played)) == 1, alert


def test_each_rule_leads_to_a_page_with_a_row_of_what_to_do() -> None:
    rules = RULES.read_text()
    rows = re.findall(r"^\| `(Capgate\w+)` \| .+ \| .+ \|$", PAGE.read_text(), re.MULTILINE)
    assert rows == ALERT.findall(rules) != []
    runbooks = re.findall(r"^ +runbook: (\S+)$", rules, re.MULTILINE)
    assert len(runbooks) == len(rows)
    for page, _, anchor in (each.partition("#") for each in runbooks):
        headings = re.findall(r"^#+ (.+)$", (ROOT / page).read_text(), re.MULTILINE)
        assert not anchor or anchor in [heading.lower().replace(" ", "-") for heading in headings]


def test_prometheus_takes_the_dashboards_expressions(tmp_path: Path) -> None:
    rules = [{"record": f"panel:{number}", "expr": expr} for number, expr in enumerate(expressions())]
    assert len(rules) >= len(dashboard().panels)
    file = tmp_path / "dashboard.yml"  # JSON is YAML
    file.write_text(json.dumps({"groups": [{"name": "dashboard", "rules": rules}]}))
    promtool("check", "rules", "--lint=none", file)


def shown(folder: Path) -> set[str]:
    """The metrics on the page of the gateway in `folder`."""
    listen = (folder / "gateway.toml").read_text().partition('listen = "')[2].partition('"')[0]
    with urllib.request.urlopen(f"http://{listen}/metrics", timeout=suite.HANGS_S) as page:
        return set(re.findall(r"^# TYPE (\w+) ", page.read().decode(), re.MULTILINE))


@pytest.mark.slow
async def test_every_metric_of_rules_and_dashboard_is_on_the_page_of_a_running_gateway(tmp_path: Path) -> None:
    variables = json.dumps(dashboard().templating.list)
    code = "\n".join(line for line in RULES.read_text().splitlines() if not line.strip().startswith("#"))
    wanted = set(METRIC.findall(" ".join([code, variables, *expressions()])))
    assert len(wanted) > len(ALERT.findall(code))
    with Mosquitto(tmp_path) as broker:
        async with suite.serving(tmp_path, suite.one_line("cap-01")) as units:
            suite.write_configuration(tmp_path, units.url, broker, 2, 2)
            gateway = suite.Gateway(tmp_path)
            await gateway.start()
            await gateway.connected()
            missing = wanted
            async with asyncio.timeout(suite.HANGS_S):
                while missing:  # some are known only after the first look
                    missing = wanted - await asyncio.to_thread(shown, tmp_path)
                    await asyncio.sleep(0.2 if missing else 0)
            assert await gateway.end(signal.SIGTERM) == 0
