"""Updates of a stack, as two templates that are translated and compared."""

from pathlib import Path

import pytest

from rehearsal.stack import ROOT, Stack, translated
from rehearsal.updates import VARIANTS, published, refused_versions, unpublished_changes, variant


@pytest.fixture(scope="module")
def stack() -> Stack:
    return translated(ROOT / "template.yaml")


@pytest.mark.parametrize("name", VARIANTS)
def test_no_update_publishes_a_version_of_what_has_not_changed(stack: Stack, name: str, tmp_path: Path) -> None:
    updated = variant(name, tmp_path)

    assert list(refused_versions(stack, updated)) == []
    assert list(unpublished_changes(stack, updated)) == []


def test_a_revision_of_its_own_would_be_refused(stack: Stack, tmp_path: Path) -> None:
    text = (ROOT / "template.yaml").read_text().replace("REVISION: !Ref ListsPolicy", "REVISION: !Ref Revision")
    (tmp_path / "before.yaml").write_text(text)
    (tmp_path / "after.yaml").write_text(
        text.replace('Description: !Sub "After ${NetworkPolicy}: ', 'Description: !Sub "After ${NetworkPolicy}; ')
    )
    before, after = translated(tmp_path / "before.yaml"), translated(tmp_path / "after.yaml")

    assert "ChatFunction: a version for this function exists" in list(refused_versions(before, after))


def test_another_setting_publishes_every_function(stack: Stack) -> None:
    for change in (
        {"Revision": "2"},
        {"FreeTierDailyRequests": "100"},
        {"MaxAnswerSeconds": "600"},
        {"HeicLayer": "no"},
    ):
        updated = Stack(stack.template, change)

        assert len(published(stack, updated)) == 10
        assert list(refused_versions(stack, updated)) == []


def test_a_bound_on_concurrency_publishes_nothing(stack: Stack) -> None:
    bounded = Stack(stack.template, {"MaxConcurrency": "50"})

    reserved = {each["ReservedConcurrentExecutions"] for each in bounded.resources("AWS::Lambda::Function").values()}

    assert reserved == {"50"}
    assert published(stack, bounded) == []
