"""`capgate decode`: explains a capture frame by frame, or writes it as golden frames for a profile."""

import sys
from pathlib import Path

import click
import msgspec

from drivers.diagnose.capture import Capture, NotACapture, load_capture
from drivers.diagnose.dissect import GAP_S as _GAP_S
from drivers.diagnose.dissect import DissectedFrame, Summary, dissected, summary
from drivers.diagnose.frames import Role
from drivers.golden.frames import golden_tables
from drivers.profile.load import DeviceProfile
from drivers.reading import Quality
from gateway.cli.unit_options import chosen_profile, profiles_option
from gateway.runtime.logs import escaped

_EPILOG = """\
\b
Examples:
  capgate decode bath.jsonl
  capgate decode passing-by.jsonl --profile smc-hrs --json
  capgate decode bath.jsonl --golden >> profiles/my-bath.toml
\b
Exit codes:
  0  every request was answered, and well (--golden: tables were printed)
  1  not so
  2  wrong use, or no capture
"""


@click.command(epilog=_EPILOG)
@click.argument("file", type=click.Path(exists=True, dir_okay=False, path_type=Path))
@click.option("--profile", "profile_id", metavar="ID", help="The kind of unit.  [default: the capture's]")
@profiles_option
@click.option("--golden", is_flag=True, help="Print [[golden]] tables for the end of a profile.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def command(file: Path, profile_id: str | None, directory: Path | None, golden: bool, as_json: bool) -> None:
    """Explain a capture: each request, its answer and what every point comes to; damage, noise, gaps, late answers."""
    try:
        capture = load_capture(file)
    except (NotACapture, OSError) as error:
        raise click.UsageError(str(error)) from error
    profile_id = profile_id or capture.header.profile
    if profile_id is None:
        raise click.UsageError("the capture names no kind of unit: say --profile")
    if golden:
        _golden(capture, chosen_profile(profile_id, directory, {}))
    _explain(capture, _profile_for(capture, profile_id, directory), as_json)


def _profile_for(capture: Capture, profile_id: str, directory: Path | None) -> DeviceProfile:
    """The profile, with the dialect of the capture."""
    name = capture.header.dialect
    return chosen_profile(profile_id, directory, {} if name is None else {"dialect": str(name)})


def _golden(capture: Capture, profile: DeviceProfile) -> None:
    tables = golden_tables(capture, profile)
    if tables:
        click.echo(tables)
        sys.exit(0)
    click.echo("no poll in which every request of the profile was answered", err=True)
    sys.exit(1)


def _explain(capture: Capture, profile: DeviceProfile, as_json: bool) -> None:
    frames = dissected(capture, profile)
    total = summary(frames)
    if as_json:
        whole = {"header": capture.header, "profile": profile.id, "frames": frames, "summary": total}
        click.echo(msgspec.json.format(msgspec.json.encode(whole), indent=2))
    else:
        header = capture.header
        how = "listened to" if header.listened else "polled"
        click.echo(f"{header.line}, {how} from {header.started_at}, read as {profile.id} in {profile.dialect}")
        for each in frames:
            click.echo("\n".join(map(escaped, _lines(each))))
        click.echo("\n".join(_summary_lines(total)))
    sys.exit(0 if total.answers and not total.unanswered and not total.problems else 1)


def _lines(each: DissectedFrame) -> list[str]:
    lines = [f"           nothing for {each.silence_s:.1f} s"] if each.silence_s > _GAP_S else []
    block = f" [{each.block}]" if each.block else ""
    after = f" after {each.after_s * 1000:.0f} ms" if each.after_s is not None else ""
    alarm = f"  <- {each.problem}" if each.problem and each.role in (Role.REPLY, Role.EXCEPTION) else ""
    lines.append(f"{each.t_s:10.3f} {each.direction} {_spaced(each.hex)}")
    lines.append(f"              {each.what}{block}{after}{alarm}")
    for point in each.points:
        cap = "" if point.cap is None else f" of cap {point.cap}"
        unit = "" if point.unit == "1" else f" {point.unit}"
        value = f"{point.value:g}" if isinstance(point.value, float) else str(point.value)
        shown = f"{value}{unit}" if point.quality is Quality.GOOD else f"no value: {point.reason}"
        if point.quality is Quality.SUSPECT:
            shown = f"{value}{unit}, suspect: {point.reason}"
        lines.append(f"              {point.name}{cap} = {shown} (raw {point.raw})")
    return lines


def _spaced(text: str) -> str:
    return bytes.fromhex(text).hex(" ")


def _summary_lines(total: Summary) -> list[str]:
    lines = [
        f"{total.requests} requests, {total.answers} answers, {total.unanswered} unanswered in {total.length_s:.1f} s"
    ]
    if total.answer_median_s is not None and total.answer_longest_s is not None:
        longest, median = total.answer_longest_s * 1000, total.answer_median_s * 1000
        lines.append(f"answers after {median:.0f} ms (median), {longest:.0f} ms at the longest")
    lines.append(f"longest silence {total.longest_silence_s:.1f} s")
    return lines + [f"{count} times: {problem}" for problem, count in total.problems.items()]
