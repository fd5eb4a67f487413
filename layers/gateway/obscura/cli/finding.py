"""What ``obscura doctor`` finds."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing looked at; ``mark`` is ok, warn or bad."""

    what: str
    mark: str
    said: str
