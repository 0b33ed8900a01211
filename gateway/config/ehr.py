"""From the tables [ehr], [drugs] and [charges] to what the words of the site's EHR mean."""

from collections.abc import Iterable, Iterator

from drivers.toml.document import TomlProblems, load_toml
from gateway.config.problems import Problems
from gateway.config.tables import ChargesTable, DrugCodes, DrugsTable, EhrTable
from gateway.messages.vocabulary import MAR_WORDS, EhrWords
from gateway.session.facts import AgentClass


def resolve_words(
    problems: Problems, ehr: EhrTable, drugs: DrugsTable, charges: ChargesTable, units: Iterable[str]
) -> EhrWords:
    """The site's words; what contradicts itself or names no unit is found as an error."""
    known = sorted(units)
    for name, unit in ehr.units.items():
        if unit not in known:
            problems.error(("ehr", "units", name), f"no such unit, accepted: {', '.join(known) or 'none'}")
    codes = [(("drugs", agent.value), agent, code) for agent, code in _codes(drugs)]
    if drugs.file is not None:
        codes += [(("drugs", "file"), agent, code) for agent, code in _of_file(problems, drugs.file)]
    table: dict[str, AgentClass] = {}
    for path, agent, code in codes:
        if table.setdefault(code.lower(), agent) is not agent:
            problems.error(path, f"{code} stands in {table[code.lower()]} as well, accepted: one class for each code")
    return EhrWords(
        drugs=table,
        units={name.lower(): unit for name, unit in ehr.units.items()},
        kept=frozenset(charges.patient),
        mar={**MAR_WORDS, **{word.lower(): act for word, act in ehr.mar_words.items()}},
    )


def _codes(drugs: DrugCodes) -> Iterator[tuple[AgentClass, str]]:
    for agent in AgentClass:
        codes: tuple[str, ...] = getattr(drugs, agent.value)
        yield from ((agent, code.strip()) for code in codes)


def _of_file(problems: Problems, name: str) -> Iterator[tuple[AgentClass, str]]:
    path = problems.file(("drugs", "file"), name)
    if path is None:
        return
    try:
        yield from _codes(load_toml(path, DrugCodes))
    except TomlProblems as invalid:
        for problem in invalid.problems:
            problems.add(problem)
