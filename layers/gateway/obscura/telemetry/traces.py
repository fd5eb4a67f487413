"""Traces by OpenTelemetry: the spans of a request, made of its access record at its end (ADR 193).

Names are those of the semantic conventions for HTTP and for generative AI ("Client inference" in the repository
``open-telemetry/semantic-conventions-genai``). A span has sizes, counts, codes and the model's name; no content, URL,
header, key, project or address.
"""

import logging
import time
from collections.abc import Mapping
from queue import SimpleQueue
from threading import Thread
from typing import TYPE_CHECKING

from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor
from opentelemetry.trace import SpanKind, Status, StatusCode, set_span_in_context
from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator
from starlette.types import Scope

from obscura.access_record import AccessRecord
from obscura.settings import Settings
from obscura.settings_values import otlp_headers
from obscura.telemetry.metrics import known_code
from obscura.version import __version__

if TYPE_CHECKING:
    from opentelemetry.context import Context
    from opentelemetry.trace import Span
    from opentelemetry.util.types import AttributeValue

EXPORT_TIMEOUT_S = 10
SHUTDOWN_TIMEOUT_S = 3.0
MAX_WAITING = 2_048
"""Requests whose spans are not yet made; more are not traced."""
RELAY = "relay"
"""The step that calls the model."""
_METHODS = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"})
_UNTRACED = frozenset({"/healthz", "/metrics"})
"""What monitors ask every few seconds."""
_TRACEPARENT = b"traceparent"


type _Ended = tuple[AccessRecord, str | None, int]
"""An access record, its model's name, and the time of day, in ns since 1970, when the performance counter was 0."""


class Traces:
    """Sends the spans of every request to a collector; what it cannot take in time is dropped.

    A thread makes them, since the spans of one request take 0.3 ms of CPU, and another one sends them.
    """

    def __init__(self, settings: Settings) -> None:
        """Nothing is sent before the first request."""
        headers = settings.traces_headers
        exporter = OTLPSpanExporter(
            endpoint=settings.traces_url,
            headers=dict(otlp_headers(headers.get_secret_value())) if headers else {},
            timeout=EXPORT_TIMEOUT_S,
        )
        resource = Resource.create({"service.name": "obscura", "service.version": __version__})
        self._provider = TracerProvider(resource=resource, shutdown_on_exit=False)
        self._provider.add_span_processor(BatchSpanProcessor(exporter))
        self._tracer = self._provider.get_tracer("obscura", __version__)
        self._propagator = TraceContextTextMapPropagator()
        self._ended: SimpleQueue[_Ended | None] = SimpleQueue()
        self._thread = Thread(target=self._make_all, name="traces", daemon=True)
        self._thread.start()
        self.providers: Mapping[str | None, str] = {}
        """Who serves the models of each upstream, as the conventions name them."""

    def began(self, record: AccessRecord, scope: Scope) -> None:
        """Note what the access record has no other use for."""
        record.method = scope["method"]
        for name, value in scope["headers"]:
            if name == _TRACEPARENT:
                record.traceparent = value.decode("latin-1")

    def ended(self, record: AccessRecord, model: str | None) -> None:
        """Let the spans of a request be made; ``model`` is its name if it can be shown. Takes a microsecond."""
        if record.endpoint not in _UNTRACED and self._ended.qsize() < MAX_WAITING:
            record.ended_ms = record.elapsed_ms()
            self._ended.put((record, model, time.time_ns() - time.perf_counter_ns()))

    def _make_all(self) -> None:
        while (ended := self._ended.get()) is not None:
            try:
                self._make(*ended)
            except Exception as exception:  # the others are still made
                fields = {"fault": type(exception).__name__, "request_id": ended[0].request_id}
                logging.getLogger("obscura").error("trace_not_made", extra={"fields": fields})

    def _make(self, record: AccessRecord, model: str | None, zero_ns: int) -> None:
        # No tracestate: its text is the caller's own, and would go to the collector.
        carrier = {"traceparent": record.traceparent} if record.traceparent else {}
        parent = self._propagator.extract(carrier)
        began_ns = zero_ns + round(record.began_s * 1e9)
        method = record.method if record.method in _METHODS else "_OTHER"
        name = f"{method} {record.endpoint}" if record.endpoint else method
        root = self._tracer.start_span(name, parent, SpanKind.SERVER, _of_request(record, method), start_time=began_ns)
        if root.is_recording():
            self._steps(record, model, set_span_in_context(root), zero_ns)
        root_ended_ns = began_ns + round(record.ended_ms * 1e6)
        if record.status >= 500 or record.status == 0:
            root.set_status(Status(StatusCode.ERROR))
        root.end(root_ended_ns)

    def _steps(self, record: AccessRecord, model: str | None, context: "Context", zero_ns: int) -> None:
        for step, began_s in record.step_began_s.items():
            began_ns = zero_ns + round(began_s * 1e9)
            ended_ns = began_ns + round(record.step_ms.get(step, 0.0) * 1e6)
            if step == RELAY:
                span = self._inference(record, model, context, began_ns)
            else:
                span = self._tracer.start_span(step, context, SpanKind.INTERNAL, start_time=began_ns)
            span.end(ended_ns)

    def _inference(self, record: AccessRecord, model: str | None, context: "Context", began_ns: int) -> "Span":
        attributes: dict[str, AttributeValue] = {
            "gen_ai.operation.name": "chat",
            "gen_ai.provider.name": self.providers.get(record.upstream, "openai"),
            "gen_ai.request.stream": record.streamed,
        }
        if model is not None:
            attributes["gen_ai.request.model"] = model
        if record.upstream is not None:
            attributes["obscura.upstream"] = record.upstream
        if record.input_tokens or record.output_tokens:
            attributes["gen_ai.usage.input_tokens"] = record.input_tokens
            attributes["gen_ai.usage.output_tokens"] = record.output_tokens
        if record.cached_tokens:
            attributes["gen_ai.usage.cache_read.input_tokens"] = record.cached_tokens
        if record.streamed and record.first_byte_ms is not None:
            sent_s = record.began_s + record.first_byte_ms / 1000
            attributes["gen_ai.response.time_to_first_chunk"] = max(0.0, sent_s - record.step_began_s[RELAY])
        name = f"chat {model}" if model else "chat"
        span = self._tracer.start_span(name, context, SpanKind.CLIENT, attributes, start_time=began_ns)
        if record.code is not None:
            span.set_attribute("error.type", known_code(record.code))
            span.set_status(Status(StatusCode.ERROR))
        return span

    def close(self) -> None:
        """Send what is left, for ``SHUTDOWN_TIMEOUT_S`` at most; blocks as long."""
        ending = Thread(target=self._end, name="traces", daemon=True)
        ending.start()
        ending.join(SHUTDOWN_TIMEOUT_S)

    def _end(self) -> None:
        self._ended.put(None)
        self._thread.join()
        self._provider.shutdown()


def _of_request(record: AccessRecord, method: str) -> "dict[str, AttributeValue]":
    attributes: dict[str, AttributeValue] = {
        "http.request.method": method,
        "obscura.request_id": record.request_id,
        "http.response.status_code": record.status,
    }
    if record.endpoint:
        attributes["http.route"] = record.endpoint
    if record.code is not None:
        attributes["error.type"] = known_code(record.code)
    if record.images:
        attributes["obscura.images"] = len(record.images)
        attributes["obscura.image_bytes"] = sum(image.bytes_after for image in record.images)
    if record.body_bytes:
        attributes["http.request.body.size"] = record.body_bytes
    return attributes
