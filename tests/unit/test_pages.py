"""What is written beside the code, held to it: the README's tables, every page's links, the version."""

import re
import tomllib
from pathlib import Path

import pytest

from obscura import errors
from obscura.api.app import create_app
from obscura.cli.lazy_group import SUMMARIES
from obscura.imaging import Detail
from obscura.settings import PREFIX, Settings

REPOSITORY = Path(__file__).parents[2]
README = (REPOSITORY / "README.md").read_text()
PAGES = [REPOSITORY / "README.md", *(REPOSITORY / "docs").rglob("*.md"), REPOSITORY / "benchmarks" / "README.md"]
TOLD_IN_WORDS = {"upstream_url", "moderation", "moderation_key", "address_secret"}
"""Settings whose default is none, and of which the table says what that means."""


def table_of(heading: str) -> list[list[str]]:
    """The cells of the table below a heading, row by row, without its head."""
    section = README.split(f"\n## {heading}\n")[1].split("\n## ")[0]
    rows = [line for line in section.splitlines() if line.startswith("|")]
    return [[cell.strip() for cell in row.strip("|").split("|")] for row in rows[2:]]


def in_code(cell: str) -> list[str]:
    return re.findall(r"`([^`]+)`", cell)


def test_every_setting_is_told_with_its_default():
    response = {}
    for cell, defaults, *_ in table_of("Settings"):
        names = in_code(cell)
        given = defaults.split(", ") if len(names) > 1 and defaults else [defaults] * len(names)
        response |= dict(zip(names, given, strict=True))

    fields = Settings.model_fields
    assert response.keys() == {PREFIX + name.upper() for name in fields}
    for name, field in fields.items():
        if name not in TOLD_IN_WORDS:
            assert re.sub(r" \(.*|`", "", response[PREFIX + name.upper()]) == as_told(field.default)


def as_told(default: object) -> str:
    match default:
        case None | ():
            return ""
        case bool():
            return str(default).lower()
        case frozenset():
            return ",".join(default)
        case _:
            return str(default)


def test_every_error_that_is_raised_is_told_under_its_status():
    response = {code: statuses for statuses, codes, _ in table_of("Errors") for code in in_code(codes)}

    classes = {one.code: one for one in vars(errors).values() if hasattr(one, "code")}
    assert classes.keys() - response.keys() == {"quota_exceeded"}  # nothing raises it: there are no quotas of projects
    assert response.keys() <= classes.keys()
    for code, statuses in response.items():
        assert str(classes[code].status) in statuses or code == "unsupported_operation"


def test_every_command_is_told_and_no_other():
    response = {command.split()[1] for names, _ in table_of("Commands") for command in in_code(names)}

    assert response == SUMMARIES.keys()


def test_the_longest_sides_are_those_of_the_code():
    for detail in Detail:
        assert f"`{detail}` {detail.longest_side_px}" in README


def test_every_decision_is_in_the_list_of_decisions():
    folder = REPOSITORY / "docs" / "decisions"
    listed = re.findall(r"\((\d{4}-[^)]+)\)", (folder / "README.md").read_text())

    assert listed == sorted(page.name for page in folder.glob("0*.md"))


def test_the_version_is_the_packages():
    package = tomllib.loads((REPOSITORY / "pyproject.toml").read_text())["project"]

    assert create_app(Settings()).version == package["version"]


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(REPOSITORY)))
def test_every_link_leads_somewhere(page):
    links = re.findall(r"\]\((?!https?:)([^)#]+)", page.read_text())

    assert [link for link in links if not (page.parent / link).exists()] == []
