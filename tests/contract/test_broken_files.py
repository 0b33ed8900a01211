"""Five hundred and fifty files with one mistake each: one line, at the right place, that says what is accepted."""

from collections import Counter
from collections.abc import Callable, Sequence
from itertools import islice
from pathlib import Path

from drivers.golden.polls import golden_problems
from drivers.toml.document import Problem, TomlProblems
from gateway.config.load import examine
from gateway.runtime.shipped import shipped_dir
from tests.contract.broken_files import Broken, broken
from tests.unit.gateway.config.config_files import CONFIG, POLICY, certificates, site

__all__ = ["certificates", "site"]

SEED = 20261130
AT_LEAST = 0.98
Check = Callable[[Path], Sequence[Problem]]


def _profile_problems(path: Path) -> Sequence[Problem]:
    try:
        return golden_problems(path)
    except TomlProblems as invalid:
        return invalid.problems


def _judged(path: Path, each: Broken, problems: Sequence[Problem]) -> str | None:
    """What is wrong with the report; None if nothing is."""
    texts = [str(problem) for problem in problems]
    if len(problems) != 1:
        return f"{each.kind}: {len(problems)} lines {texts}"
    (problem,) = problems
    if Path(problem.file) != path or problem.line not in each.lines:
        return f"{each.kind}: not at {path.name}:{sorted(each.lines)} {texts}"
    return None if "accepted: " in problem.message else f"{each.kind}: says not what is accepted {texts}"


def test_one_mistake_is_one_line_at_its_place_that_says_what_is_accepted(site: Path) -> None:
    vocabulary = (shipped_dir() / "vocabularies" / "status-in-rxa-20.toml").read_text()
    config = CONFIG + '\n[ehr]\nvocabulary = "words.toml"\nunits = { CAP0007 = "cap-07", CAP0008 = "cap-08" }\n'
    (site / "gateway.toml").write_text(config)
    (site / "words.toml").write_text(vocabulary)
    profile = site / "one.toml"

    def configured(_: Path) -> Sequence[Problem]:
        return examine(site / "gateway.toml").errors

    kinds: list[tuple[Path, str, Check, int]] = [
        (site / "gateway.toml", config, configured, 175),
        (site / "policy.toml", f"{POLICY}count_thaw = false\nautomatic_credit = true\n", configured, 80),
        (site / "words.toml", vocabulary, configured, 60),
    ]
    shipped = sorted((shipped_dir() / "profiles").glob("*.toml"))
    kinds += [(profile, path.read_text(), _profile_problems, 17) for path in shipped]
    wrong, count, seen = list[str](), 0, Counter[str]()
    for index, (path, sound, check, wanted) in enumerate(kinds):
        path.write_text(sound)
        assert not check(path), [str(each) for each in check(path)]
        for each in islice(broken(sound, SEED + index), wanted):
            path.write_bytes(each.content)
            count, seen[each.kind] = count + 1, seen[each.kind] + 1
            if verdict := _judged(path, each, check(path)):
                wrong.append(verdict)
        path.write_text(sound)
    assert count >= 550
    assert len(seen) >= 27, "every way of breaking a file was tried"

    assert len(wrong) <= (1 - AT_LEAST) * count, "\n".join(wrong)
