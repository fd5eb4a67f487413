"""Processes that coverage does not measure: it imports libraries and opens files of its own in those that it does."""

from collections.abc import Mapping


def unmeasured(environment: Mapping[str, str]) -> dict[str, str]:
    return {name: value for name, value in environment.items() if not name.startswith("COVERAGE_")}
