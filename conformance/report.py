"""The page ``docs/conformance.md``: a table of the tools, and one of the failures with whose fault each is."""

from collections.abc import Iterable
from datetime import UTC, datetime
from pathlib import Path

from conformance.figures import Faults, Figures

PAGE = Path(__file__).parents[1] / "docs" / "conformance.md"

HEAD = """# Conformance

Tools of others, run against a served gateway by `make conformance` (last on {day}, in {minutes:.0f} minutes). Their
versions are in `conformance/uv.lock` and `conformance/node/package-lock.json`. `make conformance JUDGE="langchain
llm_comply"` runs some of them and writes nothing. It is not a part of `make test`: it installs tools from PyPI and npm.

*Translated*: the gateway before an upstream that speaks chat alone. *Native*: a second gateway whose upstream is the
first, so that all three dialects pass as bytes. The model is `conformance/model.py`, by rules: it calls tools, fills
schemas and says what it is asked to say, and no more.

This page is written by the target. Judgements on failures are in `conformance/faults.toml`: a failure that none covers,
or one of ours, fails the target. LangChain's suites read two sample files from the internet by `httpx.get`; here that
one function returns files of ours, while the clients under test keep their own connections.

| tool | what | passed | failed | skipped by the tool | whose fault |
|---|---|---|---|---|---|
"""
FAILURES = """
## Failures

| tool | test | what it said | whose fault | why |
|---|---|---|---|---|
"""


def write(found: Iterable[Figures], faults: Faults, page: Path = PAGE) -> None:
    """Write the page from all figures."""
    page.write_text(text(list(found), faults, datetime.now(UTC)))


def text(found: list[Figures], faults: Faults, now: datetime) -> str:
    """Return the whole page."""
    minutes = sum(figures.seconds for figures in found) / 60
    rows, failures = [], []
    for figures in found:
        judged = [(failure, *faults.of(figures, failure)) for failure in figures.failures]
        whose = ", ".join(sorted({owner for _, owner, _ in judged})) or "-"
        rows.append(
            f"| {figures.tool} {figures.version} | {figures.what} | {figures.passed} | {len(figures.failures)} "
            f"| {figures.skipped} | {whose} |\n"
        )
        failures += [
            f"| {figures.tool}, {figures.what} | `{failure.test}` | {failure.reason} | {owner} | {why} |\n"
            for failure, owner, why in judged
        ]
    page = HEAD.format(day=f"{now:%Y-%m-%d}", minutes=minutes) + "".join(rows)
    return page + (FAILURES + "".join(failures) if failures else "")
