"""The number of open connections: bounded, and an idle one gives way to a new one (ADR 87)."""

import resource
from typing import Protocol

from obscura.errors import Overloaded

BYTES_PER_CONNECTION = 2 * 1024 * 1024
"""Of what the process may use. A connection holds up to 320 KiB that it sent and the application has not read yet."""
MIN_CONNECTIONS = 128
OTHER_FILES = 64
FILES_PER_CONNECTION = 2
"""Its own socket, and the one of its call to the upstream."""
RETRY_AFTER_S = 2


def default_max_connections(usable_bytes: int) -> int:
    """Return how many connections a process of ``usable_bytes`` may have, within its limit of open files."""
    files = resource.getrlimit(resource.RLIMIT_NOFILE)[0]
    by_files = usable_bytes if files == resource.RLIM_INFINITY else (files - OTHER_FILES) // FILES_PER_CONNECTION
    return max(MIN_CONNECTIONS, min(usable_bytes // BYTES_PER_CONNECTION, by_files))


class Connection(Protocol):
    """An open connection that can be closed while it waits for a request."""

    def close_idle(self) -> None:
        """Close it: no request is lost."""
        ...


class ConnectionLimit:
    """The connections of one server. Those without a whole head wait in the order in which they began to."""

    def __init__(self, max_connections: int | None = None) -> None:
        """Allow ``max_connections``, or any number."""
        self.max_connections = max_connections
        self._open: set[Connection] = set()
        self._idle: dict[Connection, None] = {}

    def admit(self, connection: Connection) -> bool:
        """Count a new connection, at the limit in place of the one idle for longest; False if none is."""
        if self.max_connections is not None and len(self._open) >= self.max_connections:
            longest = next(iter(self._idle), None)
            if longest is None:
                return False
            self.forget(longest)
            longest.close_idle()
        self._open.add(connection)
        self._idle[connection] = None
        return True

    def begin_request(self, connection: Connection) -> None:
        """Note that a head is whole: the connection does not give way."""
        self._idle.pop(connection, None)

    def end_request(self, connection: Connection) -> None:
        """Note that a response is complete."""
        if connection in self._open:
            self._idle[connection] = None

    def forget(self, connection: Connection) -> None:
        """Count a connection no more."""
        self._open.discard(connection)
        self._idle.pop(connection, None)


def too_many_connections() -> Overloaded:
    """Return the error for a client past the limit."""
    return Overloaded(
        "All connections of this gateway are in use (OBSCURA_MAX_CONNECTIONS). Try again in a moment.",
        retry_after_s=RETRY_AFTER_S,
    )
