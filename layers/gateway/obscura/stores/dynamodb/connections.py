"""Connections to DynamoDB that are not used again after they were idle: by then the server may have closed them.

A frozen Lambda environment learns of that only by its next call, which counts and so cannot always be repeated.
"""

import time
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient

MAX_IDLE_S = 20.0

type Clocks = Callable[[], tuple[float, ...]]


def monotonic_and_wall_s() -> tuple[float, ...]:
    """Return both clocks, in seconds: the monotonic one may stand still while an environment is frozen."""
    return time.monotonic(), time.time()


class ConnectionAge:
    """Which connections may be used: those that were idle for ``MAX_IDLE_S`` at most, and no older one than a lost."""

    def __init__(self, clocks: Clocks = monotonic_and_wall_s) -> None:
        """Each of ``clocks`` may say that a connection was idle for too long."""
        self._clocks = clocks
        self._lost_at_s = float("-inf")

    def now(self) -> tuple[float, ...]:
        """Return the time from which on a connection is idle."""
        return self._clocks()

    def connection_lost(self) -> None:
        """Use none of the connections that are idle now: what closed one of them may have closed all."""
        self._lost_at_s = self._clocks()[0]

    def is_stale(self, idle_since: tuple[float, ...]) -> bool:
        """Whether a connection that is idle since then may be closed on its other side."""
        if idle_since[0] <= self._lost_at_s:
            return True
        return any(now - since > MAX_IDLE_S for now, since in zip(self._clocks(), idle_since, strict=True))


def keep_connections_fresh(client: "DynamoDBClient", age: ConnectionAge) -> None:
    """Let a client close stale connections instead of using them; before its first call.

    botocore has no setting for that. Its session has a table of the classes of connection pools, which are urllib3's;
    ``tests/unit/stores/test_dynamodb_connections.py`` holds both to it.
    """
    from botocore.awsrequest import AWSHTTPConnectionPool, AWSHTTPSConnectionPool

    # mypy: botocore and its pools have no types.
    class _FreshConnections:
        def _put_conn(self, conn: Any) -> None:
            if conn is not None:
                conn.idle_since = age.now()
            super()._put_conn(conn)  # type: ignore[misc]

        def _get_conn(self, timeout: float | None = None) -> Any:
            conn = super()._get_conn(timeout)  # type: ignore[misc]
            idle_since = getattr(conn, "idle_since", None)
            if idle_since is not None and age.is_stale(idle_since):
                conn.close()  # it opens again at its next request, as urllib3 does it with dropped connections
            return conn

    class _Pool(_FreshConnections, AWSHTTPConnectionPool): ...

    class _TlsPool(_FreshConnections, AWSHTTPSConnectionPool): ...

    session: Any = client._endpoint.http_session  # type: ignore[attr-defined]
    session._pool_classes_by_scheme.update(http=_Pool, https=_TlsPool)
