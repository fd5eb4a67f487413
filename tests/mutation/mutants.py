"""The mutants of a module: the places where Cosmic Ray's operators apply, one mutant a place, drawn by a fixed seed."""

import ast
import difflib
import random
import warnings
from collections import defaultdict
from collections.abc import Callable
from dataclasses import dataclass

from cosmic_ray.ast import ast_nodes, get_ast
from cosmic_ray.mutating import mutate_code
from cosmic_ray.plugins import get_operator, operator_names

_SEED = 11
_IGNORED_OPERATORS = {
    "VariableReplacer",  # these two need names from outside of the module
    "VariableInserter",
    "ExceptionReplacer",  # it breaks on a dotted name in a tuple; ours is below
}
_OTHER_EXCEPTION = "StopAsyncIteration"

type Position = tuple[int, int]
"""Line, from 1 on, and column."""


@dataclass(frozen=True, slots=True)
class Mutant:
    """One change of a module; ``before`` and ``after`` are the changed lines, ``code`` is the whole changed source."""

    operator: str
    line: int
    before: str
    after: str
    code: str

    def __str__(self) -> str:
        return f"line {self.line}, {self.operator}:\n      - {self.before}\n      + {self.after}"


def mutants_of(source: str, sample: int | None = None) -> list[Mutant]:
    """Return one mutant of each place and kind of operator, ``sample`` of them at most, in the order of the lines.

    The draw is the same at each run of the same source. Type annotations are no places: a changed annotation is an
    error at import, which every test notices.
    """
    places = _places(source)
    draw = random.Random(_SEED)  # noqa: S311 - a sample, not a secret
    order = sorted(places)
    draw.shuffle(order)
    mutants = []
    for place in order:
        operator, mutate = draw.choice(places[place])
        code = mutate()
        if code is not None and code != source and _compiles(code):
            mutants.append(_mutant(operator, source, code))
        if sample is not None and len(mutants) == sample:
            break
    return sorted(mutants, key=lambda mutant: (mutant.line, mutant.operator))


def _places(source: str) -> dict[tuple[Position, str], list[tuple[str, Callable[[], str | None]]]]:
    """Return the ways to change the module, by place and kind: ``+`` to ``-`` or to ``*`` are one kind at one place."""
    tree, module = get_ast(source), ast.parse(source)
    ignored = _annotations(module)
    places: dict[tuple[Position, str], list[tuple[str, Callable[[], str | None]]]] = defaultdict(list)
    for full_name in operator_names():
        name = full_name.rpartition("/")[2]
        operator = get_operator(full_name)
        if name in _IGNORED_OPERATORS or operator.arguments():
            continue
        found = (start for node in ast_nodes(tree) for start, _ in operator().mutation_positions(node))
        for occurrence, start in enumerate(found):
            if not any(first <= start < last for first, last in ignored):
                places[start, name.split("_")[0]].append((name, _by_operator(source, full_name, occurrence)))
    for caught in _caught_exceptions(module):
        start = (caught.lineno, caught.col_offset)
        places[start, "ExceptionReplacer"].append(("ExceptionReplacer", _by_text(source, caught)))
    return places


def _by_operator(source: str, full_name: str, occurrence: int) -> Callable[[], str | None]:
    return lambda: mutate_code(source, get_operator(full_name)(), occurrence)


def _by_text(source: str, caught: ast.expr) -> Callable[[], str | None]:
    lines = source.splitlines(keepends=True)
    line = lines[caught.lineno - 1].encode()  # ast counts columns in bytes
    changed = line[: caught.col_offset] + _OTHER_EXCEPTION.encode() + line[caught.end_col_offset :]
    return lambda: "".join([*lines[: caught.lineno - 1], changed.decode(), *lines[caught.lineno :]])


def _caught_exceptions(module: ast.Module) -> list[ast.expr]:
    found = []
    for node in ast.walk(module):
        if isinstance(node, ast.ExceptHandler) and node.type is not None:
            found += node.type.elts if isinstance(node.type, ast.Tuple) else [node.type]
    return found


def _mutant(operator: str, source: str, code: str) -> Mutant:
    lines, changed = source.splitlines(), code.splitlines()
    matcher = difflib.SequenceMatcher(None, lines, changed, autojunk=False)
    _, first, last, new_first, new_last = next(block for block in matcher.get_opcodes() if block[0] != "equal")
    before = " ".join(line.strip() for line in lines[first:last])
    after = " ".join(line.strip() for line in changed[new_first:new_last])
    return Mutant(operator, first + 1, before, after, code)


def _compiles(code: str) -> bool:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", SyntaxWarning)
        try:
            compile(code, "mutant", "exec")
        except (SyntaxError, ValueError):
            return False
    return True


def _annotations(module: ast.Module) -> list[tuple[Position, Position]]:
    """Return the spans of annotations, type aliases and decorators of classes (slots and frozen are no behaviour)."""
    found: list[ast.expr | ast.stmt] = []
    for node in ast.walk(module):
        if isinstance(node, ast.arg | ast.AnnAssign) and node.annotation is not None:
            found.append(node.annotation)
        elif isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef) and node.returns is not None:
            found.append(node.returns)
        elif isinstance(node, ast.TypeAlias):
            found.append(node)
        elif isinstance(node, ast.ClassDef):
            found += node.decorator_list
    # One column earlier: a decorator's node begins after its @.
    return [((each.lineno, each.col_offset - 1), (each.end_lineno or 0, each.end_col_offset or 0)) for each in found]
