"""The tables of ``docs/fields-*.md``, and the field lists of the openai SDK that they have to match."""

import re
import typing
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

DOCS = Path(__file__).parents[4] / "docs"


def table(document: str, heading: str) -> dict[str, str]:
    """Return each field of the table below a heading, with the word in the second column."""
    section = (DOCS / document).read_text().partition(f"\n## {heading}\n")[2].partition("\n## ")[0]
    rows = [line.split(" | ") for line in section.splitlines() if line.startswith("| `")]
    fields = [(field, word) for names, word, *_ in rows for field in re.findall(r"`([^`]+)`", names)]
    assert len(dict(fields)) == len(fields)
    return dict(fields)


def fields_with(word: str, document: str, heading: str) -> list[str]:
    return [field for field, treatment in table(document, heading).items() if treatment == word]


def fields_of(typed_dict: type) -> set[str]:
    return set(typing.get_type_hints(typed_dict))


def members_of(union: Any) -> Iterator[type]:
    """Yield the member types of a union, and the element types of lists."""
    origin = typing.get_origin(union)
    if origin in {typing.Union, typing.Annotated, list, typing.Required}:
        inner = typing.get_args(union)[:1] if origin is typing.Annotated else typing.get_args(union)
        for one in inner:
            yield from members_of(one)
    else:
        yield union


def kinds_of(typed_dict: type) -> set[str]:
    """Return the values of its ``type`` field."""
    return {
        kind
        for one in members_of(typing.get_type_hints(typed_dict)["type"])
        for kind in typing.get_args(one)
        if isinstance(kind, str)
    }


def by_kind(types: Iterable[type], spelled_out: set[str]) -> set[str]:
    """Return the kinds of some types; of those that are spelled out, their fields."""
    names = set()
    for one in types:
        for kind in kinds_of(one) if hasattr(one, "__annotations__") else ():
            names |= {f"{kind}.{field}" for field in fields_of(one)} if kind in spelled_out else {kind}
    return names


def native_table() -> dict[tuple[str, str], dict[str, set[str]]]:
    """Return the fields of each type by what becomes of them natively, from the table of Responses."""
    section = (DOCS / "fields-responses.md").read_text().partition("\n## Natively\n")[2].partition("\n## ")[0]
    rows = [line.strip("| ").split(" | ") for line in section.splitlines() if re.match(r"\| (?:request|\w+) ", line)]
    found = {}
    for place, kinds, *cells in (row for row in rows if row[0] != "where"):
        names = [set(re.findall(r"`([^`]+)`", cell)) for cell in cells]
        treatments = dict(zip(("moderated", "passed", "refused"), names, strict=True))
        for kind in re.findall(r"`([^`]+)`", kinds) or ["request"]:
            found[place, kind] = treatments
    return found
