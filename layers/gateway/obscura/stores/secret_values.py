"""Values of SSM's Parameter Store and of Secrets Manager, read at a start that may be one of a thousand at once."""

import random
import time
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from itertools import batched, count
from typing import TYPE_CHECKING, Any, Literal

if TYPE_CHECKING:
    from botocore.exceptions import BotoCoreError, ClientError

type Client = Any
"""A client of boto3 whose types are not installed: those of SSM and Secrets Manager."""

MAX_NAMES = 10
"""SSM API reference, GetParameters."""

CONNECT_TIMEOUT_S, READ_TIMEOUT_S = 1.5, 2.5
MAX_TRIES, INIT_BUDGET_S = 8, 7.5
"""Within the ten seconds that Lambda gives a start, of which the imports take one or two."""

THROTTLED_BUDGET_S = 90.0
"""Lambda repeats a start that took over ten seconds, with the function's own timeout: one that is only throttled goes
on, since its request can wait and a start that fails cannot be taken back (ADR 140)."""

FIRST_PAUSE_S, MAX_PAUSE_S = 0.25, 4.0

_THROTTLED = frozenset({"ThrottlingException", "TooManyRequestsException", "RequestLimitExceeded", "Throttling"})


class SecretsUnreadable(Exception):
    """The values cannot be read; the message says why, and has none of them."""


def pauses_s(draw: Callable[[float, float], float] = random.uniform) -> Iterator[float]:
    """Yield the pauses between tries: full jitter up to a time that doubles to ``MAX_PAUSE_S``.

    "Exponential Backoff And Jitter", AWS Architecture Blog, 2015.
    """
    for attempt in count():
        yield draw(0, min(MAX_PAUSE_S, FIRST_PAUSE_S * 2 ** min(attempt, 10)))


def may_try_again(tries: int, elapsed_s: float, *, throttled: bool) -> bool:
    """Whether a start that failed ``tries`` times tries again, ``elapsed_s`` after its begin."""
    if throttled:
        return elapsed_s <= THROTTLED_BUDGET_S
    return tries < MAX_TRIES and elapsed_s <= INIT_BUDGET_S


class PatientReader:
    """Repeats calls that fail for a moment, for all calls of one start together."""

    def __init__(
        self, now_s: Callable[[], float] = time.monotonic, sleep: Callable[[float], None] = time.sleep
    ) -> None:
        """The start begins now."""
        self._now_s = now_s
        self._sleep = sleep
        self._begun_at_s = now_s()

    def call[T](self, make: Callable[[], T]) -> T:
        """Return what ``make`` returns.

        Raises SecretsUnreadable for a call that is rejected, one that failed ``MAX_TRIES`` times, and one that is still
        throttled after ``THROTTLED_BUDGET_S``.
        """
        from botocore.exceptions import BotoCoreError, ClientError

        for tries, pause_s in enumerate(pauses_s(), 1):
            try:
                return make()
            except (BotoCoreError, ClientError) as error:
                failure = error
            throttled = _is_throttled(failure)
            elapsed_s = self._now_s() - self._begun_at_s + pause_s
            if not (throttled or _is_transient(failure)) or not may_try_again(tries, elapsed_s, throttled=throttled):
                raise SecretsUnreadable(f"{failure} ({tries} tries)") from None
            self._sleep(pause_s)
        raise AssertionError("the pauses never end")


def read_parameters(names: Sequence[str], reader: PatientReader) -> dict[str, str]:
    """Return the values of those parameters that exist, by name, decrypted; one call for every ten names."""
    client = _open("ssm")
    try:
        found: dict[str, str] = {}
        for batch in batched(dict.fromkeys(names), MAX_NAMES, strict=False):
            response = reader.call(partial(client.get_parameters, Names=list(batch), WithDecryption=True))
            found |= {parameter["Name"]: parameter["Value"] for parameter in response["Parameters"]}
        return found
    finally:
        client.close()


def read_secrets(ids: Sequence[str], reader: PatientReader) -> dict[str, str]:
    """Return the texts of those secrets of Secrets Manager that exist, by id; one call each."""
    client = _open("secretsmanager")
    try:
        found: dict[str, str] = {}
        for secret_id in dict.fromkeys(ids):
            text = reader.call(partial(_secret_text, client, secret_id))
            if text is not None:
                found[secret_id] = text
        return found
    finally:
        client.close()


def _secret_text(client: Client, secret_id: str) -> str | None:
    try:
        text: str | None = client.get_secret_value(SecretId=secret_id).get("SecretString")
        return text
    except client.exceptions.ResourceNotFoundException:
        return None


def _open(service: Literal["ssm", "secretsmanager"]) -> Client:
    import boto3
    from botocore.config import Config

    config = Config(connect_timeout=CONNECT_TIMEOUT_S, read_timeout=READ_TIMEOUT_S, retries={"total_max_attempts": 1})
    return boto3.client(service, config=config)


def _is_throttled(failure: "BotoCoreError | ClientError") -> bool:
    response = getattr(failure, "response", {})
    return response.get("Error", {}).get("Code") in _THROTTLED


def _is_transient(failure: "BotoCoreError | ClientError") -> bool:
    """Whether another try may succeed: a connection that failed, or an error of AWS's own."""
    from botocore.exceptions import ClientError, ConnectionError, HTTPClientError

    if isinstance(failure, ClientError):
        return failure.response.get("ResponseMetadata", {}).get("HTTPStatusCode", 0) >= 500
    return isinstance(failure, HTTPClientError | ConnectionError)
