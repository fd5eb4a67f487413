"""Amazon Data Firehose (API reference, ``PutRecordBatch``), for example into S3; boto3 signs, in a thread."""

import asyncio
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any, Protocol, cast

from obscura.policy_events.base import BatchLimits, ChainedEvent, Delivery

CONNECT_TIMEOUT_S = 2.0
READ_TIMEOUT_S = 10.0


class _Client(Protocol):
    """The one call of boto3's client."""

    def put_record_batch(self, **request: Any) -> dict[str, Any]: ...

    def close(self) -> None: ...


class FirehoseSink:
    """A delivery stream; region, credentials and ``AWS_ENDPOINT_URL`` come from boto3's own environment.

    A record is an event and a line break. Those that fail are sent again, and only those; some may come twice.
    """

    name = "firehose"
    limits = BatchLimits(events=500, total_bytes=3_900_000, event_bytes=1_023_999)
    schedule_s: Sequence[float] | None = None

    def __init__(self, stream: str) -> None:
        """No connection is opened yet."""
        self._stream = stream
        self._thread = ThreadPoolExecutor(1, "firehose")
        self._client: _Client | None = None

    async def send(self, batch: Sequence[ChainedEvent]) -> Delivery:
        """Send a batch; see ``Sink``."""
        return await asyncio.get_running_loop().run_in_executor(self._thread, self._put, batch)

    def close(self) -> None:
        """Close the connections; a call under way ends by its own timeouts."""
        self._thread.shutdown(wait=False, cancel_futures=True)
        if self._client is not None:
            self._client.close()

    def _put(self, batch: Sequence[ChainedEvent]) -> Delivery:
        from botocore.exceptions import BotoCoreError, ClientError

        records = [{"Data": event.line + b"\n"} for event in batch]
        try:
            response = self._open().put_record_batch(DeliveryStreamName=self._stream, Records=records)
        except ClientError as error:
            return Delivery(again=tuple(batch), reason=str(error.response.get("Error", {}).get("Code", "ClientError")))
        except BotoCoreError as error:
            return Delivery(again=tuple(batch), reason=type(error).__name__)
        if not response["FailedPutCount"]:
            return Delivery()
        results = zip(batch, response["RequestResponses"], strict=True)
        failed = [(event, str(result["ErrorCode"])) for event, result in results if result.get("ErrorCode")]
        return Delivery(again=tuple(event for event, _ in failed), reason=failed[0][1] if failed else None)

    def _open(self) -> _Client:
        if self._client is None:
            import boto3
            from botocore.config import Config

            config = Config(
                retries={"total_max_attempts": 1},  # the sender's own backoff holds
                connect_timeout=CONNECT_TIMEOUT_S,
                read_timeout=READ_TIMEOUT_S,
                max_pool_connections=1,
            )
            # Not boto3's default session, which is not safe in threads and keeps the credentials that it first found.
            self._client = cast("_Client", boto3.Session().client("firehose", config=config))
        return self._client
