"""Every public name of the product has a reader in the product: what is declared, counted or configured is used.

A reader is a place that loads the name, whatever the type in front of it; adding to a counter reads nothing, and a
function that calls itself has no reader by that.
"""

import ast
import importlib
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from functools import cache
from pathlib import Path
from typing import NamedTuple

import pytest

from gateway.config.tables import DrugCodes
from gateway.session.facts import AgentClass

ROOT = Path(__file__).parents[2]
PACKAGES = ("gateway", "drivers", "simulators")
TABLES = "gateway/config/tables.py"
POLICY = "gateway/session/policy.py"

# Types that go out as JSON, into a template or into the ledger whole: who reads their fields is the receiver.
ENCODED = {
    "drivers/diagnose/capture.py",
    "gateway/audit/listing.py",
    "gateway/cli/board.py",
    "gateway/cli/export.py",
    "gateway/cli/probe_report.py",
    "gateway/config/price.py",
    "gateway/control/answers.py",
    "gateway/control/board.py",
    "gateway/control/delivery.py",
    "gateway/control/equipment.py",
    "gateway/control/screen.py",
    "gateway/control/todo.py",
    "gateway/control/visits.py",
    "gateway/ledger/bodies.py",
    "gateway/messages/cloudevents.py",
    "gateway/messages/outbound/device.py",
    "gateway/messages/outbound/ehr.py",
    "gateway/monitoring/health.py",
    "gateway/session/facts.py",
    "gateway/web/activity.py",
    "gateway/web/days.py",
    "gateway/web/feed.py",
}
# What the tests alone drive, beside the code that it takes the place of.
INSTRUMENTS = ("drivers/transport/memory.py", "simulators/broker/")
# A command in its module by gateway.cli, `describe` by prometheus_client.
FOUND_BY_NAME = {"command", "describe"}
# Still without a reader: keys that a policy may have already, for rules that are to come; what the tests alone call.
WAITING = {
    "gateway/ledger/store.py: Ledger.commit",
    "gateway/session/policy.py: PolicyFile.effective",
}


class Place(NamedTuple):
    """A line of a file."""

    file: str
    line: int


class Declared(NamedTuple):
    """A public name, where it is declared and the lines of its own body."""

    file: str
    owner: str  # the class; "": the module
    name: str
    lines: range
    node: ast.stmt

    @property
    def shown(self) -> str:
        """As a failure names it."""
        return f"{self.file}: {self.owner}{'.' if self.owner else ''}{self.name}"


@cache
def trees(package: str) -> Mapping[str, ast.Module]:
    """A package's modules by file."""
    return {str(file.relative_to(ROOT)): ast.parse(file.read_text()) for file in sorted((ROOT / package).rglob("*.py"))}


def module_of(file: str) -> str:
    """The dotted name of a file's module."""
    return file.removesuffix(".py").removesuffix("/__init__").replace("/", ".")


def names_read(module: str, node: ast.AST, imported: Mapping[str, str]) -> Iterator[str]:
    """What this very node loads: `.attribute`, or `module:name`."""
    match node:
        case ast.Attribute(value=ast.Name(id=base), attr=name, ctx=ast.Load()) if base in imported:
            yield from (f"{imported[base]}:{name}", f".{name}")
        case ast.Attribute(attr=name, ctx=ast.Load()):
            yield f".{name}"
        case ast.Name(id=name, ctx=ast.Load()):
            yield f"{module}:{name}"
        case ast.ImportFrom(module=str(source), names=aliases):
            yield from (f"{source}:{alias.name}" for alias in aliases)
        case ast.MatchClass(kwd_attrs=names):
            yield from (f".{name}" for name in names)
        case ast.Call(func=ast.Name(id="getattr"), args=[_, ast.Constant(value=str(name)), *_]):
            yield f".{name}"
        case ast.Call(func=ast.Attribute(attr="get"), args=[ast.Constant(value=str(name)), *_]):
            yield f".{name}"
        case _:
            return


def imports(nodes: Iterable[ast.AST]) -> Mapping[str, str]:
    """What may be a module, by the name that it has in this one."""
    found: dict[str, str] = {}
    for node in nodes:
        match node:
            case ast.ImportFrom(module=str(source), names=aliases):
                found |= {alias.asname or alias.name: f"{source}.{alias.name}" for alias in aliases}
            case ast.Import(names=aliases):
                found |= {alias.asname or alias.name: alias.name for alias in aliases}
            case _:
                pass
    return found


@cache
def readers(package: str) -> Mapping[str, list[Place]]:
    """Where a package loads each name, under the keys of `names_read`."""
    found: dict[str, list[Place]] = defaultdict(list)
    for file, tree in trees(package).items():
        nodes = list(ast.walk(tree))
        imported = imports(nodes)
        for node in nodes:
            for name in names_read(module_of(file), node, imported):
                found[name].append(Place(file, node.lineno if isinstance(node, ast.expr | ast.stmt) else 0))
    return found


def targets(node: ast.stmt) -> Iterator[str]:
    """The names that a statement of a module or a class declares."""
    match node:
        case ast.FunctionDef(name=name) | ast.AsyncFunctionDef(name=name):
            yield name
        case ast.AnnAssign(target=ast.Name(id=name)):
            yield name
        case ast.Assign(targets=assigned):
            for target in assigned:
                yield from (each.id for each in ast.walk(target) if isinstance(each, ast.Name))
        case _:
            return


def attributes_set(function: ast.stmt) -> Iterator[tuple[str, ast.stmt]]:
    """The attributes that an `__init__` gives the instance."""
    for node in ast.walk(function):
        if isinstance(node, ast.Assign | ast.AnnAssign):
            for target in node.targets if isinstance(node, ast.Assign) else [node.target]:
                for each in ast.walk(target):
                    if isinstance(each, ast.Attribute) and isinstance(each.value, ast.Name) and each.value.id == "self":
                        yield each.attr, node


def is_enum(node: ast.ClassDef) -> bool:
    """Whether the members are read by their values."""
    return any(isinstance(base, ast.Name) and base.id.endswith(("Enum", "Flag")) for base in node.bases)


def declared_in(file: str, body: Iterable[ast.stmt], owner: str = "") -> Iterator[Declared]:
    """The public names of a module, or of one class."""
    for node in body:
        lines = range(node.lineno, (node.end_lineno or node.lineno) + 1)
        for name in targets(node):
            yield Declared(file, owner, name, lines, node)
            if owner and name == "__init__":
                for attribute, where in attributes_set(node):
                    yield Declared(file, owner, attribute, range(where.lineno, where.lineno + 1), where)
        if isinstance(node, ast.ClassDef) and not is_enum(node):
            yield from declared_in(file, node.body, node.name)


@cache
def declared() -> list[Declared]:
    """All public names of the product."""
    modules = (module for package in PACKAGES for module in trees(package).items())
    found = (each for file, tree in modules for each in declared_in(file, tree.body))
    return [each for each in found if not each.name.startswith("_")]


def places(each: Declared) -> list[Place]:
    """Where the name is read, but for its own body: in the product, of an instrument in the tests as well."""
    packages = (*PACKAGES, "tests") if each.file.startswith(INSTRUMENTS) else PACKAGES
    key = f".{each.name}" if each.owner else f"{module_of(each.file)}:{each.name}"
    found = (place for package in packages for place in readers(package)[key])
    return [place for place in found if place.file != each.file or place.line not in each.lines]


def is_field(each: Declared) -> bool:
    """Whether instances have the name, and it is no method."""
    return each.owner != "" and not isinstance(each.node, ast.FunctionDef | ast.AsyncFunctionDef)


def is_registered(each: Declared) -> bool:
    """Whether a decorator such as `@migrations()` or `@command(...)` puts the function where it is found."""
    match each.node:
        case ast.FunctionDef(decorator_list=decorators) | ast.AsyncFunctionDef(decorator_list=decorators):
            return any(isinstance(decorator, ast.Call) for decorator in decorators)
        case _:
            return False


def is_one_literal(each: Declared) -> bool:
    """Whether the field has one possible value: who parses it refuses every other."""
    literals = [
        node
        for node in ast.walk(each.node.annotation if isinstance(each.node, ast.AnnAssign) else ast.Pass())
        if isinstance(node, ast.Subscript) and isinstance(node.value, ast.Name) and node.value.id == "Literal"
    ]
    return [type(literal.slice) for literal in literals] == [ast.Constant]


def is_called_by_a_library(each: Declared) -> bool:
    """Whether it overrides what a class of a library declares, which then calls it."""
    if not each.owner:
        return False
    bases: tuple[type, ...] = getattr(importlib.import_module(module_of(each.file)), each.owner).__mro__[1:-1]
    return any(each.name in vars(base) for base in bases if base.__module__.partition(".")[0] not in PACKAGES)


def is_read_by_value(each: Declared) -> bool:
    """Whether it is a class of drugs, which is looked up by the class."""
    return each.owner == DrugCodes.__name__ and each.name in set(AgentClass)


def kind_of(each: Declared) -> str:
    """What a field of its class is, where that matters."""
    if each.file == TABLES:
        return "key of gateway.toml"
    if each.file == POLICY and each.owner == "Policy":
        return "key of a policy"
    return "counter" if each.owner.endswith("Counters") else ""


def test_every_public_name_is_read() -> None:
    unread = [
        each.shown
        for each in declared()
        if not places(each)
        and not (each.file in ENCODED and is_field(each))
        and each.name not in FOUND_BY_NAME
        and not (is_registered(each) or is_one_literal(each) or is_called_by_a_library(each))
        and each.shown not in WAITING
        and not is_read_by_value(each)
    ]
    assert unread == []


@pytest.mark.parametrize("kind", ["key of gateway.toml", "key of a policy", "counter"])
def test_every_key_and_counter_is_read_by_another_module(kind: str) -> None:
    """Who declares a key or adds to a counter is no reader of it."""
    of_kind = [each for each in declared() if is_field(each) and each.name != "model_config" and kind_of(each) == kind]
    assert of_kind
    unread = [
        each.shown
        for each in of_kind
        if all(place.file == each.file for place in places(each))
        and each.shown not in WAITING
        and not is_read_by_value(each)
    ]
    assert unread == []
