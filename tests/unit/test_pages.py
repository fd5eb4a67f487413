"""The documents, held to the code: reference tables, links, decisions, the glossary, the version."""

import re
from importlib.metadata import version
from pathlib import Path

import pytest

from obscura import errors
from obscura.api import methods
from obscura.api.app import create_app
from obscura.cli.lazy_group import SUMMARIES
from obscura.imaging import Detail
from obscura.policy import errors as policy_errors
from obscura.settings import PREFIX, Settings
from tests.vocabulary import findings

REPOSITORY = Path(__file__).parents[2]
DOCS = REPOSITORY / "docs"
REFERENCE = DOCS / "reference"
PAGES = [*REPOSITORY.glob("*.md"), *DOCS.rglob("*.md"), REPOSITORY / "benchmarks" / "README.md"]
DESCRIBED_DEFAULTS = {
    "upstream_url", "moderation", "moderation_key", "address_secret", "free_tier_refunds", "free_tier_daily_requests",
}  # fmt: skip
"""Settings whose default is none, and for which the table says what that means."""


def first_table(page: Path) -> list[list[str]]:
    """The cells of a page's first table, row by row, without its head."""
    rows: list[str] = []
    for line in page.read_text().splitlines():
        if line.startswith("|"):
            rows.append(line)
        elif rows:
            break
    return [[cell.strip() for cell in row.strip("|").split("|")] for row in rows[2:]]


def in_code(cell: str) -> list[str]:
    return re.findall(r"`([^`]+)`", cell)


def test_every_setting_is_documented_with_its_default() -> None:
    documented: dict[str, str] = {}
    for cell, defaults, *_ in first_table(REFERENCE / "settings.md"):
        names = in_code(cell)
        given = defaults.split(", ") if len(names) > 1 and defaults else [defaults] * len(names)
        documented |= dict(zip(names, given, strict=True))

    fields = Settings.model_fields
    assert documented.keys() == {PREFIX + name.upper() for name in fields}
    for name, field in fields.items():
        if name not in DESCRIBED_DEFAULTS:
            assert re.sub(r" \(.*|`", "", documented[PREFIX + name.upper()]) == as_documented(field.default)


def as_documented(default: object) -> str:
    match default:
        case None | ():
            return ""
        case (int(), int(), int()):
            return f"#{bytes(default).hex()}"
        case bool():
            return str(default).lower()
        case frozenset():
            return ",".join(default)
        case _:
            return str(default)


def test_every_error_that_is_raised_is_documented_with_its_status() -> None:
    rows = first_table(REFERENCE / "errors.md")
    documented = {code: statuses for statuses, codes, _ in rows for code in in_code(codes)}

    modules = vars(errors) | vars(methods) | vars(policy_errors)
    codes = {kind.code: kind.status for kind in modules.values() if hasattr(kind, "code")}
    assert codes.keys() == documented.keys()
    for code, statuses in documented.items():
        assert str(codes[code]) in statuses or code == "unsupported_operation"


def test_every_command_is_documented_and_no_other() -> None:
    commands = [in_code(names) for names, _ in first_table(REFERENCE / "commands.md")]

    assert {command.split()[1] for names in commands for command in names} - {"--version"} == SUMMARIES.keys()


def test_the_longest_sides_are_those_of_the_code() -> None:
    limits = (REFERENCE / "limits.md").read_text()

    for detail in Detail:
        assert f"`{detail}` {detail.longest_side_px}" in limits


def test_every_decision_is_in_the_list_with_status_and_date() -> None:
    folder = DOCS / "decisions"
    listed = re.findall(r"\[(\d+\. [^]]+)\]\((\d{4}-[^)]+)\)", (folder / "README.md").read_text())

    assert [name for _, name in listed] == sorted(page.name for page in folder.glob("0*.md"))
    for title, name in listed:
        first, _, status, *_ = (folder / name).read_text().splitlines()
        assert first == f"# {title}"
        assert re.fullmatch(r"(Accepted|Superseded by \d+), 20\d\d-\d\d-\d\d\.", status)


def test_the_version_is_the_packages() -> None:
    assert create_app(Settings()).version == version("obscura")


def test_the_readme_has_at_most_150_lines_and_the_glossary_25_terms() -> None:
    assert len((REPOSITORY / "README.md").read_text().splitlines()) <= 150
    assert len(first_table(DOCS / "glossary.md")) <= 25


def test_a_word_that_is_not_used_here_is_found_in_a_name_as_well() -> None:
    found = [word for _, word, _ in findings("def door_of(x): ...\nMOST_WORDS = 1\n'the upstream'\n")]

    assert found == ["door", "MOST"]


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(REPOSITORY)))
def test_every_link_leads_to_a_file(page: Path) -> None:
    links = re.findall(r"\]\((?!https?:)([^)#]+)", page.read_text())

    assert [link for link in links if not (page.parent / link).exists()] == []
