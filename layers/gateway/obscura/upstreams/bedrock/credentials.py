"""AWS credentials of botocore's provider chain, found and refreshed in a thread, never on the event loop.

A snapshot serves requests. It is looked at again every ``CHECK_S`` seconds, in the background: botocore refreshes what
ends within 15 minutes. A request waits only for the first credentials, and for new ones once the old have ended.
"""

import asyncio
import logging
import time
from collections.abc import Callable
from concurrent.futures import Future
from threading import Lock, Thread
from typing import TYPE_CHECKING, Protocol, cast

from obscura.errors import UpstreamError

if TYPE_CHECKING:
    from botocore.credentials import ReadOnlyCredentials

CHECK_S = 30.0
RETRY_S = 5.0
_QUIET = ("botocore.auth", "botocore.credentials", "botocore.utils", "botocore.parsers", "botocore.endpoint")
"""botocore's loggers that write what it signs and what it was given, at the level DEBUG."""


class Credentials(Protocol):
    """botocore's, which refresh themselves as they are frozen."""

    def get_frozen_credentials(self) -> "ReadOnlyCredentials":
        """Return a snapshot; may wait for the network."""
        ...


def find_credentials() -> Credentials | None:
    """Search botocore's provider chain: environment, web identity, profiles, container, instance."""
    from botocore.session import Session

    return cast("Credentials | None", Session().get_credentials())


class AwsCredentials:
    """The credentials of one upstream; safe for any number of requests on one loop."""

    def __init__(
        self,
        find: Callable[[], Credentials | None] = find_credentials,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        """``find`` is called in a thread, once it has found something never again."""
        self._find = find
        self._monotonic = monotonic
        self._found: Credentials | None = None
        self._snapshot: ReadOnlyCredentials | None = None
        self._checked_at_s = 0.0
        self._loading: Future[None] | None = None
        self._lock = Lock()
        for name in _QUIET:
            logging.getLogger(name).setLevel(logging.WARNING)

    @property
    def current(self) -> "ReadOnlyCredentials":
        """The snapshot; raises UpstreamError if there is none, which ``ready`` prevents."""
        if self._snapshot is None:
            raise no_credentials()
        return self._snapshot

    def load_ahead(self) -> None:
        """Begin to search for credentials, so that the first request finds them."""
        self._load()

    async def ready(self) -> None:
        """Return at once with credentials that last, else wait for them; raises UpstreamError if there are none."""
        if self._snapshot is not None:
            if self._monotonic() - self._checked_at_s < CHECK_S:
                return
            if not self._has_ended():
                self._load()
                return
        await asyncio.shield(asyncio.wrap_future(self._load()))
        if self._snapshot is None or self._has_ended():
            raise no_credentials()

    def _has_ended(self) -> bool:
        """Whether the snapshot is no longer valid; botocore compares times, without the network."""
        refresh_needed = getattr(self._found, "refresh_needed", None)
        return refresh_needed is not None and bool(refresh_needed(refresh_in=0))

    def _load(self) -> Future[None]:
        with self._lock:
            if self._loading is None:
                self._loading = Future()
                Thread(target=self._load_in_thread, args=(self._loading,), name="aws-credentials", daemon=True).start()
            return self._loading

    def _load_in_thread(self, loading: Future[None]) -> None:
        checked_at_s = self._monotonic()
        try:
            self._found = self._found or self._find()
            if self._found is not None:
                self._snapshot = self._found.get_frozen_credentials()
        except Exception as failure:  # whatever a provider raises: its words may hold what it was given
            checked_at_s += RETRY_S - CHECK_S
            logging.getLogger("obscura").warning(
                "aws_credentials_unavailable", extra={"fields": {"reason": type(failure).__name__}}
            )
        finally:
            self._checked_at_s = checked_at_s
            with self._lock:
                self._loading = None
            loading.set_result(None)


def no_credentials() -> UpstreamError:
    """Return the error of a gateway that has no AWS credentials."""
    return UpstreamError(
        "The gateway has no AWS credentials for Amazon Bedrock. Not your fault: the operator must give it a role, a "
        "profile, or AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY."
    )
