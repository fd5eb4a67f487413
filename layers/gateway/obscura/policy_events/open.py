"""The sinks of the settings, opened and closed, and the one port through which events reach them."""

import asyncio
import logging
from collections import Counter
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import asdict

import httpx
import msgspec
from msgspec import UNSET

from obscura.clock import Clock
from obscura.policy.events import DecisionEvent
from obscura.policy_events.base import Sink
from obscura.policy_events.chain import EventChain
from obscura.policy_events.datadog import DatadogSink, intake_url
from obscura.policy_events.otlp import OtlpSink
from obscura.policy_events.sender import Sender
from obscura.policy_events.splunk import SplunkSink
from obscura.policy_events.webhook import WebhookSink
from obscura.settings import Settings, webhook_secrets
from obscura.settings_values import otlp_headers

CLOSE_TIMEOUT_S = 5.0
LAMBDA_FLUSH_S = 0.5
"""After the last byte of a response: a frozen environment sends nothing, and a running one is billed."""

_log = logging.getLogger("obscura")


class PolicyEvents:
    """Implements ``EventSink``: chains each event, writes it as a log line, and passes it to every sender."""

    def __init__(self, senders: Sequence[Sender] = ()) -> None:
        self.senders = senders
        self.only_counted: Counter[str] = Counter()
        """Decisions of which there is no event: for zero-retention callers, or by a policy with `audit_logs: false`."""
        self.unrecorded = 0
        self._chain = EventChain()

    def put(self, event: DecisionEvent) -> None:
        """Take an event; see ``EventSink``."""
        self._put_made(lambda: event)

    def put_soon(self, make: Callable[[], DecisionEvent | None]) -> None:
        """Make an event and take it when the loop is next free; see ``EventSink``. ``flush`` comes after it."""
        asyncio.get_running_loop().call_soon(self._put_made, make)

    def _put_made(self, make: Callable[[], DecisionEvent | None]) -> None:
        try:
            event = make()
            if event is None:
                return
            if event.features is UNSET and event.event_type != "revision":
                self.only_counted[event.decision] += 1
                return
            chained = self._chain.add(event)
            # The line is the record: what no sink takes is still there.
            _log_line(chained.line)
            for sender in self.senders:
                sender.put(chained)
        except Exception as fault:  # no request fails by its event
            self.unrecorded += 1
            _log.error("policy_event_unrecorded", extra={"fields": {"fault": type(fault).__name__}})

    async def flush(self, timeout_s: float = LAMBDA_FLUSH_S) -> None:
        """Send what is buffered, for at most ``timeout_s``; what is left stays buffered."""
        await asyncio.sleep(0)  # what was put to be made soon is there after this
        try:
            async with asyncio.timeout(timeout_s):
                await asyncio.gather(*(sender.flush() for sender in self.senders if sender.buffered))
        except TimeoutError:
            pass

    def counts(self) -> dict[str, object]:
        """Return what became of all events so far, by sink."""
        sinks = {sender.sink.name: {"buffered": sender.buffered, **asdict(sender.counts)} for sender in self.senders}
        return {"only_counted": dict(self.only_counted), "unrecorded": self.unrecorded, "sinks": sinks}


def _log_line(line: bytes) -> None:
    """Write a log line without the search for the caller's line number, half of what logging costs."""
    if _log.isEnabledFor(logging.INFO):
        record = logging.LogRecord(_log.name, logging.INFO, __name__, 0, "policy_event", None, None)
        record.__dict__["fields"] = {"event": msgspec.Raw(line)}
        _log.handle(record)


@asynccontextmanager
async def open_policy_events(
    settings: Settings, transport: httpx.AsyncBaseTransport, clock: Clock, close_timeout_s: float = CLOSE_TIMEOUT_S
) -> AsyncIterator[PolicyEvents]:
    """Open the sinks of the settings. At the end what is buffered is sent for ``close_timeout_s``; the rest is counted.

    A chain begins here: after a fork, and after a snapshot was restored.
    """
    async with running([Sender(sink) for sink in sinks_of(settings, transport, clock)], close_timeout_s) as events:
        yield events


@asynccontextmanager
async def running(senders: Sequence[Sender], close_timeout_s: float = CLOSE_TIMEOUT_S) -> AsyncIterator[PolicyEvents]:
    """Run senders for as long as the context holds."""
    events = PolicyEvents(senders)
    tasks = [asyncio.create_task(sender.run(), name=f"policy events to {sender.sink.name}") for sender in senders]
    try:
        yield events
    finally:
        try:
            await events.flush(close_timeout_s)
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
            for sender in senders:
                sender.abandon()
                sender.sink.close()
            if senders or events.only_counted:
                _log.info("policy_events", extra={"fields": events.counts()})


def sinks_of(settings: Settings, transport: httpx.AsyncBaseTransport, clock: Clock) -> Iterator[Sink]:
    """Yield the sinks that the settings name; each setting was validated at the start."""
    if settings.policy_webhook_url and settings.policy_webhook_secret:
        secrets = webhook_secrets(settings.policy_webhook_secret.get_secret_value())
        yield WebhookSink(transport, settings.policy_webhook_url, secrets, clock)
    if settings.policy_splunk_url and settings.policy_splunk_token:
        token = settings.policy_splunk_token.get_secret_value()
        yield SplunkSink(transport, settings.policy_splunk_url, token, settings.policy_splunk_index, clock)
    if settings.policy_datadog_key:
        key = settings.policy_datadog_key.get_secret_value()
        yield DatadogSink(transport, intake_url(settings.policy_datadog_site), key, clock)
    if settings.policy_otlp_url:
        headers = settings.policy_otlp_headers
        pairs = otlp_headers(headers.get_secret_value()) if headers else ()
        yield OtlpSink(transport, settings.policy_otlp_url, pairs, clock)
    if settings.policy_firehose:
        from obscura.policy_events.firehose import FirehoseSink  # with boto3's exceptions only where it is set

        yield FirehoseSink(settings.policy_firehose)
