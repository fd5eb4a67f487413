"""Updates of a stack, as two templates that are translated and compared."""

from pathlib import Path

import pytest

from rehearsal.stack import ROOT, Stack, translated
from rehearsal.updates import published, refused_versions, unpublished_changes, variants
from tests.support.templates import changed


@pytest.fixture(scope="module")
def stack() -> Stack:
    return translated(ROOT / "template.yaml")


def test_no_update_publishes_a_version_of_what_has_not_changed(stack: Stack, tmp_path: Path) -> None:
    for updated in variants(tmp_path, ["tags", "another wording of a policy"]).values():  # the rehearsal has the others
        assert list(refused_versions(stack, updated)) == []
        assert list(unpublished_changes(stack, updated)) == []


def _reworded(resources: dict) -> None:
    described = resources["ListsPolicy"]["Properties"]["Description"]
    described["Fn::Sub"] = described["Fn::Sub"].replace("After ", "Following ")


def _of_its_own_revision(resources: dict) -> None:
    resources["ChatFunction"]["Properties"]["Environment"]["Variables"]["REVISION"] = {"Ref": "Revision"}


def test_a_revision_of_its_own_would_be_refused(stack: Stack) -> None:
    before = changed(stack, _of_its_own_revision)

    assert list(refused_versions(stack, changed(stack, _reworded))) == []
    assert list(refused_versions(before, changed(before, _reworded))) == [
        "ChatFunction: a version for this function exists"
    ]


def test_another_setting_publishes_every_function(stack: Stack) -> None:
    for change in (
        {"Revision": "2"},
        {"FreeTierDailyRequests": "100"},
        {"MaxAnswerSeconds": "600"},
        {"HeicLayer": "no"},
    ):
        updated = Stack(stack.template, change)

        assert len(published(stack, updated)) == 11
        assert list(refused_versions(stack, updated)) == []


def test_a_bound_on_concurrency_publishes_nothing(stack: Stack) -> None:
    bounded = Stack(stack.template, {"MaxConcurrency": "50"})

    reserved = {each["ReservedConcurrentExecutions"] for each in bounded.resources("AWS::Lambda::Function").values()}

    assert reserved == {"50"}
    assert published(stack, bounded) == []
