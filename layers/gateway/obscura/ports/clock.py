"""The time of day."""

from datetime import datetime
from typing import Protocol


class Clock(Protocol):
    """The time of day, aware and in UTC."""

    def now(self) -> datetime:
        """Give the current instant."""
        ...
