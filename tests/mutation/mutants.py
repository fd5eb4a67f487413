"""The mutants of a module: the places where Cosmic Ray's operators apply, one mutant a place, drawn by a fixed seed."""

import ast
import difflib
import random
from collections import defaultdict
from dataclasses import dataclass

from cosmic_ray.ast import ast_nodes, get_ast
from cosmic_ray.mutating import mutate_code
from cosmic_ray.plugins import get_operator, operator_names

_SEED = 11
_IGNORED_OPERATORS = {"VariableReplacer", "VariableInserter"}  # they need names from outside of the module


@dataclass(frozen=True, slots=True)
class Mutant:
    """One changed line of a module; ``code`` is the whole changed source."""

    operator: str
    line: int
    before: str
    after: str
    code: str

    def __str__(self) -> str:
        return f"line {self.line}, {self.operator}:\n      - {self.before}\n      + {self.after}"


def mutants_of(source: str, sample: int | None = None) -> list[Mutant]:
    """Return one mutant of each place and kind of operator, ``sample`` of them at most, in the order of the lines.

    The draw is the same at each run of the same source. Type annotations and docstrings are no places: a changed
    annotation is an error at import, which every test notices.
    """
    tree = get_ast(source)
    ignored = _annotations(source)
    places: dict[tuple[tuple[int, int], str], list[tuple[str, int]]] = defaultdict(list)
    for name in operator_names():
        short = name.rpartition("/")[2]
        operator = get_operator(name)
        if short in _IGNORED_OPERATORS or operator.arguments():
            continue
        found = (start for node in ast_nodes(tree) for start, _ in operator().mutation_positions(node))
        for occurrence, start in enumerate(found):
            if not any(first <= start < last for first, last in ignored):
                places[start, short.split("_")[0]].append((name, occurrence))
    draw = random.Random(_SEED)  # noqa: S311 - a sample, not a secret
    order = sorted(places)
    draw.shuffle(order)
    mutants = []
    for start, kind in order:
        name, occurrence = draw.choice(places[start, kind])
        code = mutate_code(source, get_operator(name)(), occurrence)
        if code is not None and code != source and _compiles(code):
            mutants.append(_mutant(name.rpartition("/")[2], source, code))
        if sample is not None and len(mutants) == sample:
            break
    return sorted(mutants, key=lambda mutant: (mutant.line, mutant.operator))


def _mutant(operator: str, source: str, code: str) -> Mutant:
    lines, changed = source.splitlines(), code.splitlines()
    matcher = difflib.SequenceMatcher(None, lines, changed, autojunk=False)
    _, first, last, new_first, new_last = next(code for code in matcher.get_opcodes() if code[0] != "equal")
    before = " ".join(line.strip() for line in lines[first:last])
    after = " ".join(line.strip() for line in changed[new_first:new_last])
    return Mutant(operator, first + 1, before, after, code)


def _compiles(code: str) -> bool:
    try:
        compile(code, "mutant", "exec")
    except (SyntaxError, ValueError):
        return False
    return True


def _annotations(source: str) -> list[tuple[tuple[int, int], tuple[int, int]]]:
    """Return the spans, as (line, column), of annotations, type aliases and decorators of dataclasses."""
    found: list[ast.expr | ast.stmt] = []
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.arg | ast.AnnAssign) and node.annotation is not None:
            found.append(node.annotation)
        elif isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef) and node.returns is not None:
            found.append(node.returns)
        elif isinstance(node, ast.TypeAlias):
            found.append(node)
        elif isinstance(node, ast.ClassDef):
            found += node.decorator_list  # slots and frozen are no behaviour
    return [((each.lineno, each.col_offset), (each.end_lineno or 0, each.end_col_offset or 0)) for each in found]
