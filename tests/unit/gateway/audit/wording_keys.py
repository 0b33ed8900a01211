"""What the catalogue of records needs: every phrase that the code says, read from its source, and every code."""

import ast
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import get_args

from gateway.audit.reconcile import SessionPlace
from gateway.config.roles import Role
from gateway.ledger.deliveries import Proof
from gateway.messages.inbound.answers import ReceiptResult
from gateway.session.assessment import Phase
from gateway.session.fact_types import ClockState
from gateway.session.facts import ToleranceFinding
from gateway.session.outcome import Missing

GATEWAY = Path(__file__).parents[4] / "gateway"
SPEAKING = (
    "audit/fact_words.py",
    "audit/reasons.py",
    "audit/record_words.py",
    "session/held_texts.py",
    "session/policy_text.py",
    "session/review_texts.py",
    "session/why_text.py",
    "session/wording.py",
)
CODES: dict[str, Iterable[str]] = {
    "clock": ClockState,
    "evidence": ("scan", "ehr", "person", "association", "adt"),
    "finding": ToleranceFinding,
    "missing": Missing,
    "phase": Phase,
    "place": SessionPlace,
    "proof": Proof,
    "receipt": get_args(ReceiptResult),
    "role": Role,
}


def phrases() -> set[str]:
    """What is said by `say("...")`, and what the tables of texts hold."""
    return {phrase for name in SPEAKING for phrase in _phrases(ast.parse((GATEWAY / name).read_text())) if phrase}


def codes() -> set[str]:
    return {f"{kind}.{code}" for kind, members in CODES.items() for code in members}


def _phrases(module: ast.Module) -> Iterator[str]:
    for node in module.body:
        if isinstance(node, ast.Assign) and isinstance(node.value, ast.Dict):
            yield from (text for value in node.value.values for text in _constants(value))
    for node in ast.walk(module):
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id in {"say", "self"}:
            yield from _constants(node.args[0])


def _constants(node: ast.AST) -> Iterator[str]:
    for each in ast.walk(node):
        if isinstance(each, ast.Constant) and isinstance(each.value, str):
            yield each.value
