"""Renders the report of `capgate probe` as terminal tables."""

from typing import TYPE_CHECKING

from drivers.diagnose.diagnosis import Diagnoses, Diagnosis
from drivers.reading import Reason
from gateway.cli.probe_report import ProbeReport, ReportPoint

if TYPE_CHECKING:
    from rich.table import Table


def show(answer: ProbeReport) -> None:
    """Print the report on standard output."""
    from rich.console import Console  # imported here, since rich is slow to import
    from rich.table import Table
    from rich.text import Text

    console = Console()
    address = "" if answer.unit_id is None else f", unit id {answer.unit_id}"
    identity = answer.identity
    kind = "no unit of a known kind" if identity is None else f"{identity.vendor} {identity.model}"
    console.print(Text(f"{kind} at {answer.line}{address}"))
    console.print(_findings(answer.findings))
    points = [point for point in answer.points if point.reason is not Reason.NOT_READ]
    if points:
        console.print(Text(f"run state {answer.run_state}; alarms: {', '.join(answer.alarms) or 'none'}"))
        table = Table("point", "cap", "raw", "value", "unit", "quality", box=None)
        for point in points:
            table.add_row(*map(Text, _row(point)))
        console.print(table)
    if len(answer.likely) > 1:
        console.print(Text(f"these profiles fit as well: {', '.join(answer.likely[1:])}"))
    for fault in answer.faults:
        console.print(Text(f"{fault.kind}: {fault.detail}\n  try next: {fault.hint}"), soft_wrap=True)


def _findings(found: Diagnoses) -> "Table":
    from rich.table import Table
    from rich.text import Text

    table = Table(box=None, show_header=False)
    for name in found.__struct_fields__:
        finding: Diagnosis = getattr(found, name)
        row = [name.replace("_", " "), finding.verdict.value, finding.evidence]
        if finding.next:
            row[-1] += f"; next: {finding.next}"
        table.add_row(*map(Text, row))
    return table


def _row(point: ReportPoint) -> tuple[str, ...]:
    match point.value:
        case None:
            value = "-"
        case bool():
            value = "yes" if point.value else "no"
        case float():
            value = f"{point.value:g}"
        case _:
            value = str(point.value)
    return (
        point.name,
        "" if point.cap is None else str(point.cap),
        "" if point.raw is None else str(point.raw),
        value,
        "" if point.unit == "1" else point.unit,
        f"{point.quality}: {point.reason}" if point.reason else point.quality,
    )
