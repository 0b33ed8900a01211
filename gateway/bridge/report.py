"""The state of a bridge: as text for people, as JSON at /healthz, as Prometheus metrics at /metrics."""

from collections.abc import Callable, Iterator, Mapping
from typing import Literal

import msgspec
from prometheus_client import CollectorRegistry
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector


class LaneReport(msgspec.Struct, frozen=True):
    """The counts of one kind of message that goes to the engine."""

    waiting: int  # received from the broker, not acknowledged by the engine
    carried: int  # acknowledged since the start


class BridgeReport(msgspec.Struct, frozen=True, kw_only=True):
    """The state of a bridge at one instant, without any content of messages."""

    version: str
    id: str
    role: Literal["alone", "active", "standby"]
    mqtt_connected: bool
    protocol: str
    gateways_online: tuple[str, ...]
    lanes: Mapping[str, LaneReport]
    connections: int  # of the engine to our listener
    counts: Mapping[str, int]  # since the start
    expires_s: Mapping[str, float]  # Unix time, by what the certificate is for
    troubles: Mapping[str, str]  # cause by current fault condition

    def reasons(self) -> list[str]:
        """Why it is degraded; empty when all is well."""
        return [f"{trouble}: {cause}" for trouble, cause in self.troubles.items()]

    def lines(self) -> Iterator[str]:
        """The report as lines of text."""
        broker = f"connected by MQTT {self.protocol}" if self.mqtt_connected else "not connected"
        yield f"bridge {self.id}, {self.role}, Capgate {self.version}"
        yield f"broker    {broker}"
        yield f"gateways  {', '.join(self.gateways_online) or 'none online'}"
        for kind, lane in self.lanes.items():
            yield f"{kind:<11} {lane.carried} carried, {lane.waiting} waiting"
        yield f"listener  {self.connections} connections of the engine"
        for name, count in self.counts.items():
            if count:
                yield f"  {name.replace('_', ' '):<22} {count}"
        for reason in self.reasons() or ["nothing is wrong"]:
            yield f"! {reason}" if self.troubles else reason


def bridge_metrics(report: Callable[[], BridgeReport]) -> CollectorRegistry:
    """The report as metrics, made anew at each use."""
    registry = CollectorRegistry()
    registry.register(_Families(report))
    return registry


class _Families(Collector):
    def __init__(self, report: Callable[[], BridgeReport]) -> None:
        self._report = report

    def collect(self) -> Iterator[Metric]:
        """The metrics; called by prometheus-client."""
        report = self._report()
        yield GaugeMetricFamily("capgate_bridge_mqtt_connected", "1: to the broker", value=report.mqtt_connected)
        yield GaugeMetricFamily("capgate_bridge_active", "0: it stands by", value=report.role != "standby")
        yield GaugeMetricFamily("capgate_bridge_troubles", "What is wrong now", value=len(report.troubles))
        yield GaugeMetricFamily("capgate_bridge_connections", "Of the engine", value=report.connections)
        waiting = GaugeMetricFamily("capgate_bridge_waiting", "Messages not answered by the engine", labels=["kind"])
        for kind, lane in report.lanes.items():
            waiting.add_metric([kind], lane.waiting)
        yield waiting
        text = "When the certificate expires, Unix time."
        expires = GaugeMetricFamily("capgate_certificate_expires_timestamp_seconds", text, labels=["certificate"])
        for certificate, at_s in report.expires_s.items():
            expires.add_metric([certificate], at_s)
        yield expires
        events = CounterMetricFamily("capgate_bridge_events", "What happened, by kind", labels=["what"])
        for what, count in report.counts.items():
            events.add_metric([what], count)
        yield events
