"""Reads a page in OpenMetrics with the parser of prometheus-client."""

from collections.abc import Callable, Iterable
from typing import cast

from prometheus_client import Metric
from prometheus_client.openmetrics import parser

ASKED = "application/openmetrics-text;version=1.0.0;q=0.6,text/plain;version=0.0.4;q=0.4"  # as Prometheus asks


def families(page: bytes) -> list[Metric]:
    """The metrics on the page. Raises ValueError where it breaks a rule."""
    parse = cast(
        "Callable[[str], Iterable[Metric]]",
        parser.text_string_to_metric_families,  # pyright: ignore[reportUnknownMemberType]
    )
    return list(parse(page.decode()))
