"""`capgate explain`: shows how messages of the EHR would be read, and which facts result. Records nothing."""

import sys
from collections.abc import Iterator
from pathlib import Path

import click
import msgspec

from drivers.toml.document import TomlProblems
from gateway.cli.control_client import give_up
from gateway.config.load import GatewayConfig, load_config
from gateway.describe.dry_run import Explanation, Explanations, explain
from gateway.describe.survey import Survey, Surveyor, files_in, messages_of, proposal
from gateway.messages.inbound.answers import FieldRead, Term
from gateway.messages.inbound.parts import MAX_PARTS_BYTES
from gateway.runtime.clock import SystemClock
from gateway.runtime.logs import escaped

_PROGRESS_EVERY = 1000  # messages
_TITLES = {Term.WORD: "words of the MAR", Term.DRUG: "drugs"}


@click.command(
    "explain",
    epilog="Example: capgate explain ras_o17.hl7 --config /etc/capgate/gateway.toml. Exit codes: 0 it would be taken, "
    "1 it, or one of several, would be ignored or rejected, 2 wrong use or wrong configuration. Of a survey: 0 every "
    "word and drug has a meaning, 1 some have none.",
)
@click.argument("paths", nargs=-1, required=True, type=click.Path(exists=True, path_type=Path))
@click.option("--config", type=click.Path(path_type=Path), help="Whose chairs, units, drug codes and words count.")
@click.option("--json", "as_json", is_flag=True, help="One JSON object; `messages` has several.")
@click.option(
    "--write",
    type=click.Path(dir_okay=False, path_type=Path),
    help="A file for the TOML that is missing in gateway.toml; makes a survey of PATHS.",
)
def command(paths: tuple[Path, ...], config: Path | None, as_json: bool, write: Path | None) -> None:
    """Say how the HL7, FHIR or JSON message in PATHS would be read: field by field, and which facts it would become.

    A file that is sent as one payload may hold several (a batch, an array, a Bundle): each is explained. Of a folder,
    of several files or of a file beyond 1 MiB a survey: which words of the MAR and which drugs they have, how often,
    and which of them the site gives no meaning.

    Works without a gateway and without a broker. What it prints repeats the message: mind whose it is.
    """
    site, now_us = _config(config), SystemClock().now().utc_us
    if len(paths) == 1 and paths[0].is_file() and write is None:
        content = paths[0].read_bytes()
        if len(content) <= MAX_PARTS_BYTES:
            each = tuple(explain(message, site, now_us) for message in messages_of(content) or (content,))
            _print(each[0] if len(each) == 1 else Explanations(each), _explanation_lines(each), as_json=as_json)
            raise SystemExit(0 if all(one.result in ("accepted", "receipt") for one in each) else 1)
    survey = _survey(paths, site, now_us)
    _print(survey, _survey_lines(survey), as_json=as_json)
    if write is not None:
        write.write_text(proposal(survey, ", ".join(path.name for path in paths)))
    raise SystemExit(1 if survey.unmapped else 0)


def _print(what: Explanation | Explanations | Survey, lines: Iterator[str], *, as_json: bool) -> None:
    click.echo(msgspec.json.encode(what).decode() if as_json else "\n".join(map(escaped, lines)))


def _config(path: Path | None) -> GatewayConfig | None:
    if path is None:
        return None
    try:
        return load_config(path)
    except TomlProblems as problems:
        give_up("\n".join(map(str, problems.problems)))


def _survey(paths: tuple[Path, ...], site: GatewayConfig | None, now_us: int) -> Survey:
    surveyor = Surveyor()
    for file in files_in(paths):
        surveyor.files += 1
        try:
            content = file.read_bytes()
        except OSError as error:
            give_up(f"{file} cannot be read: {error.strerror}")
        for message in messages_of(content):
            surveyor.take(explain(message, site, now_us))
            if surveyor.messages % _PROGRESS_EVERY == 0 and sys.stderr.isatty():
                click.echo(f"{surveyor.messages} messages, {surveyor.files} files", err=True)
    return surveyor.survey()


def _survey_lines(survey: Survey) -> Iterator[str]:
    results = ", ".join(f"{count} {result}" for result, count in survey.results.items())
    yield f"{survey.messages} messages in {survey.files} files: {results or 'none'}"
    for term, title in _TITLES.items():
        met = [each for each in survey.met if each.term is term]
        yield f"{title}:" if met else f"{title}: none"
        names = [f"{each.value} ({each.label})" if each.label else each.value for each in met]
        field = max((len(each.where) for each in met), default=0)
        name = max(map(len, names), default=0)
        for each, shown in zip(met, names, strict=True):
            yield f"  {each.where:<{field}}  {shown:<{name}}  {each.times:>6}  {each.meaning or 'no meaning here'}"
    if survey.unmapped:
        yield f"{len(survey.unmapped)} without a meaning; --write FILE gives the TOML to decide them in"


def _explanation_lines(explained: tuple[Explanation, ...]) -> Iterator[str]:
    for number, each in enumerate(explained, start=1):
        if len(explained) > 1:
            yield f"{number} of {len(explained)}:"
        yield from _lines(each)


def _lines(explained: Explanation) -> Iterator[str]:
    code = f" ({explained.code})" if explained.code else ""
    yield f"{explained.format} message {explained.id or 'without an id'}: {explained.result}{code}"
    if explained.text:
        yield f"  {explained.text}"
    for assumption in explained.assumed:
        yield f"  assumed: {assumption}"
    yield "taken:" if explained.taken else "taken: nothing"
    yield from _fields(explained.taken)
    if explained.unwanted:
        yield "read, and not wanted by the site ([charges] details):"
        yield from _fields(explained.unwanted)
    yield "facts:" if explained.facts else "facts: none"
    for fact in explained.facts:
        rest = ", ".join(f"{name} {_text(value)}" for name, value in fact.items() if name not in ("fact", "at"))
        yield f"  {fact['at']}  {fact['fact']}: {rest}"
    if explained.touches:
        yield f"touches: {', '.join(explained.touches)}"


def _fields(fields: tuple[FieldRead, ...]) -> Iterator[str]:
    width = max((len(each.where) for each in fields), default=0)
    meaning = max((len(each.what) for each in fields), default=0)
    return (f"  {each.where:<{width}}  {each.what:<{meaning}}  {each.value}" for each in fields)


def _text(value: object) -> str:
    match value:
        case {"device": str(device), "channel": int(channel)}:
            return f"{device}:{channel}"
        case _:
            return str(value)
