"""Obscura's aims, and the best that any peer did when they were set: both on two cores, for orientation only.

Absolute times belong to a machine; a run compares subjects with each other, and prints these beside them.
"""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Aim:
    """Obscura's limit and the best peer's figure for one line of the report."""

    line: str
    ours: str
    best_peer: str


_AIMS = (
    Aim("text added", "≤ 1.2", "1.3"),
    Aim("text cpu", "≤ 0.8", "0.25"),
    Aim("text rate", "≥ 900", "804"),
    Aim("1mb added", "≤ 12", "10.2"),
    Aim("1mb rate", "≥ 105", "101"),
    Aim("10mb added", "≤ 105", "78"),
    Aim("10mb rate", "≥ 12", "11.7"),
    Aim("url added", "≤ 12", "7.8"),
    Aim("url rate", "≥ 100", "146"),
    Aim("sse added", "≤ 1.5", "14.8"),
    Aim("sse first", "≤ 1", "6.1"),
    Aim("memory", "≤ 450", "753"),
    Aim("lag", "≤ 5", ""),
)

AIMS = {aim.line: aim for aim in _AIMS}
