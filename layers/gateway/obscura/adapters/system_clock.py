"""The machine's clock."""

from datetime import UTC, datetime


class SystemClock:
    """The time of day of this machine."""

    def now(self) -> datetime:
        """Give the current instant."""
        return datetime.now(UTC)
