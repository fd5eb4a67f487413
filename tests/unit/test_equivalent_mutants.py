"""The list of equivalent mutants, held to the code: an entry of a line that has changed is no excuse any more."""

import pytest

from tests.mutation.targets import TARGETS, read_equivalent

EQUIVALENT = read_equivalent()


@pytest.mark.parametrize("entry", EQUIVALENT, ids=lambda entry: f"{entry['module']}: {entry['after']}")
def test_an_equivalent_mutant_is_of_a_line_that_is_there_and_has_a_reason(entry: dict[str, str]) -> None:
    source = next(target.source for target in TARGETS if target.name == entry["module"]).read_text()

    assert entry["before"] in " ".join(line.strip() for line in source.splitlines())
    assert entry["before"] != entry["after"]
    assert len(entry["reason"]) > 20


def test_every_module_and_its_tests_are_there() -> None:
    for target in TARGETS:
        assert target.source.is_file()
        assert all((target.source_root.parents[1] / test).exists() for test in target.tests if not test.startswith("-"))
