"""The time of day, injected: no other module reads the machine's clock."""

from datetime import UTC, datetime
from typing import Protocol


class Clock(Protocol):
    """The time of day, aware and in UTC."""

    def now(self) -> datetime:
        """Return the current instant."""
        ...


class SystemClock:
    """The time of day of this machine."""

    def now(self) -> datetime:
        """Return the current instant."""
        return datetime.now(UTC)
