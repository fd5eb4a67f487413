"""The cost tables: the page has what the script computes, and the script what AWS's public prices give."""

import pytest

from benchmarks.costs import PAGE, costs, egress_gb, lambda_usd, reach, tiered, written


def test_the_page_has_what_the_script_computes() -> None:
    page = PAGE.read_text()

    assert written(page) == page, "run python -m benchmarks.costs --write"


def test_tiers_are_paid_one_after_the_other() -> None:
    assert tiered("rest_request", 1_000_000) == pytest.approx(3.5)
    assert tiered("rest_request", 2_628_000_000) == pytest.approx(6_907.74)
    assert tiered("egress_gb", 280_320) == pytest.approx(17_907.2)


def test_a_request_costs_its_seconds_and_its_memory() -> None:
    assert 1000 * lambda_usd(10, 1024) == pytest.approx(0.1333, abs=0.0001)
    assert 1000 * egress_gb(400) * 0.09 == pytest.approx(0.096)


def test_every_row_has_a_cell_for_each_rate() -> None:
    rows = [line for line in reach() if line.startswith("|")]

    assert {row.count("|") for row in rows} == {5}
    assert any("egress" in row for row in costs())


def test_a_page_without_its_marks_is_refused() -> None:
    with pytest.raises(ValueError, match="lacks the lines"):
        written("# A page")
