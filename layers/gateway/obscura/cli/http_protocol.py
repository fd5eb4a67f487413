"""uvicorn's HTTP/1.1 for untrusted clients: one request at a time, bounded in bytes and in time (ADR 70).

httptools gets a head whole, and of a body no byte past its end. So nothing is parsed, and no task is created, for a
request that the client sends before the response to the last one; and what is refused is refused by the whole head.
"""

import asyncio
from typing import Any, override

import httptools
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol, RequestResponseCycle

from obscura.api.cors import CrossOrigin
from obscura.api.request_path import decode_path
from obscura.cli.chunked import end_of_piece
from obscura.cli.connections import ConnectionLimit, too_many_connections
from obscura.cli.refusal import render_refusal
from obscura.cli.request_head import (
    HEAD_END,
    HEAD_TOO_LARGE,
    MAX_FIELD_LINES,
    MAX_HEAD_BYTES,
    NOT_HTTP,
    fields_problem,
    may_be_preface,
    partial_head_problem,
    preface_problem,
    whole_head_problem,
    without_empty_lines,
    without_upgrade,
)
from obscura.errors import InvalidRequest, ObscuraError

MAX_CHUNKS_AT_ONCE = 500
"""Bounds of the work on a chunked body before the event loop gets its turn: chunks may be of one byte."""

MAX_LINGER_BYTES = 2 * MAX_HEAD_BYTES


class _Refused(Exception):
    """Raised in a callback of the parser, which stops at it; the message is for the client."""


class _UpgradeOffered(Exception):
    """Raised before httptools drops the body of a request that offers another protocol, as Java's client does."""


class HttpProtocol(HttpToolsProtocol):
    """One client's connection.

    A head has to be whole ``HEAD_TIMEOUT_S`` after its first byte, or after the connection began. The rest of a body
    that the application did not wait for is read for ``DRAIN_TIMEOUT_S``, so that the client gets the response. A
    client that reads nothing of a response for ``SEND_TIMEOUT_S`` has left. uvicorn closes a connection that is idle.
    """

    HEAD_TIMEOUT_S = 10.0
    DRAIN_TIMEOUT_S = 30.0
    SEND_TIMEOUT_S = 60.0
    LINGER_TIMEOUT_S = 2.0
    connection_limit = ConnectionLimit()
    cross_origin: CrossOrigin | None = None

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._timer: asyncio.TimerHandle | None = None
        self._send_timer: asyncio.TimerHandle | None = None
        self._unparsed = self._head = b""
        self._first = True
        self._in_head = self._in_message = self._chunked = self._body_begun = False
        self._body_left_bytes = 0
        self._without_progress_bytes = 0
        self._trailer_lines = 0
        self._chunk_end = b""
        self._chunks = 0
        self._refused = False
        self._linger_bytes = 0

    @override
    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        self.url = b""
        if self.connection_limit.admit(self):
            self._start_timer(self.HEAD_TIMEOUT_S)
        else:
            self._refuse(too_many_connections())

    def close_idle(self) -> None:
        """Close the connection, which has no request, for another."""
        self._unset_keepalive_if_required()
        self.transport.close()

    @override
    def connection_lost(self, exc: Exception | None) -> None:
        self._stop_timer()
        self.connection_limit.forget(self)
        self.resume_writing()
        self._unset_keepalive_if_required()
        self._unparsed = b""
        super().connection_lost(exc)

    @override
    def data_received(self, data: bytes) -> None:
        """Parse received bytes; close the connection if they are no HTTP."""
        self._unset_keepalive_if_required()
        if self._refused:
            self._linger_bytes += len(data)
            if self._linger_bytes > MAX_LINGER_BYTES:
                self.transport.abort()
            return
        if self._unparsed:
            data, self._unparsed = self._unparsed + data, b""
        self._parse(data)

    def _parse(self, data: bytes) -> None:
        """Parse until nothing is left that can be parsed now."""
        while data and not self._refused:
            if not self._in_message:
                data = self._parse_head(data)
            elif not self._chunked:
                body, data = data[: self._body_left_bytes], data[self._body_left_bytes :]
                self._body_left_bytes -= len(body)
                self._feed(body)
            else:
                data = self._parse_chunked(data)

    def _parse_chunked(self, data: bytes) -> bytes:
        """Parse a chunked body to its end, and return what follows it; or a part, and the rest in a callback."""
        begin = self._chunks = 0
        while begin < len(data) and not self._is_message_over():
            if self._chunks > MAX_CHUNKS_AT_ONCE:
                self._unparsed = data[begin:]
                self.flow.pause_reading()
                self.loop.call_soon(self._parse_unparsed)
                return b""
            end = end_of_piece(self._chunk_end, data, begin)
            piece = data[begin:end]
            self._chunk_end = (self._chunk_end + piece)[-3:]
            self._feed(piece)
            begin = end
            self._chunks += 1
        return data[begin:]

    def _is_message_over(self) -> bool:
        return self._refused or not self._in_message

    def _parse_unparsed(self) -> None:
        data, self._unparsed = self._unparsed, b""
        if self.transport.is_closing() or self._refused:
            return
        if self._in_message:
            self.flow.resume_reading()
        self._parse(data)

    def _parse_head(self, data: bytes) -> bytes:
        """Parse a head that is whole and whose turn it is, and return what follows it."""
        running: RequestResponseCycle | None = self.cycle  # None before the first request
        if running is not None and not running.response_complete:
            self._unparsed = data  # pipelined (RFC 9112 §9.3.2)
            self.flow.pause_reading()
            return b""
        if self._first:
            if may_be_preface(data):
                return self._wait_for_head(data)
            if problem := preface_problem(data):
                return self._refuse(problem)
        data = without_empty_lines(data)
        line_end = data.find(HEAD_END)
        self._head = data if line_end < 0 else data[:line_end]
        if line_end < 0:
            problem = partial_head_problem(data)
            return self._refuse(problem) if problem else self._wait_for_head(data)
        head, rest = data[: line_end + len(HEAD_END)], data[line_end + len(HEAD_END) :]
        self.url = b""
        if problem := whole_head_problem(head):
            return self._refuse(problem)
        self._stop_timer()
        self.connection_limit.begin_request(self)
        self._first = False
        self._in_head, self._trailer_lines, self._without_progress_bytes = True, 0, 0
        self._chunk_end, self._body_begun = b"", False
        self._feed(head)
        return rest

    def _wait_for_head(self, data: bytes) -> bytes:
        self._unparsed = data
        if self._timer is None:
            self._start_timer(self.HEAD_TIMEOUT_S)
        return b""

    def _feed(self, piece: bytes) -> None:
        self._without_progress_bytes += len(piece)
        try:
            self.parser.feed_data(piece)
        except (httptools.HttpParserError, httptools.HttpParserUpgrade) as error:
            reason = error.__context__
            if isinstance(reason, _UpgradeOffered) and (plain := without_upgrade(piece)) != piece:
                self.parser = httptools.HttpRequestParser(self)
                self._feed(plain)
            else:
                self._refuse(str(reason) if isinstance(reason, _Refused) else NOT_HTTP)
        else:
            if self._in_message and self._without_progress_bytes > MAX_HEAD_BYTES:
                self._refuse(HEAD_TOO_LARGE)  # the trailers, or the extensions of a chunk

    @override
    def on_message_begin(self) -> None:
        if not self._in_head:
            raise _Refused(NOT_HTTP)
        self._in_message = True
        super().on_message_begin()

    @override
    def on_header(self, name: bytes, value: bytes) -> None:
        """Take a header. Trailers are none (RFC 9110 §6.5.1): they may not change what was decided by the head."""
        if self._in_head:
            name = name.lower()
            if name == b"expect" and value.lower() == b"100-continue":
                self.expect_100_continue = True
            self.headers.append((name, value))
            return
        self._trailer_lines += 1
        if self._trailer_lines > MAX_FIELD_LINES:
            raise _Refused(HEAD_TOO_LARGE)

    @override
    def on_headers_complete(self) -> None:
        if self.parser.should_upgrade():
            raise _UpgradeOffered
        fields = dict(self.headers)
        if problem := fields_problem(self.parser.get_http_version(), self.url, fields, self.headers):
            raise _Refused(problem)
        self._chunked = b"transfer-encoding" in fields
        self._body_left_bytes = int(fields.get(b"content-length", b"0"))
        super().on_headers_complete()
        if b"%" in self.url:
            # The path decides before the task that super created reads it.
            self.scope["path"] = decode_path(self.scope["raw_path"].decode("ascii"))
        self._in_head = False

    @override
    def on_body(self, body: bytes) -> None:
        self._body_begun = True
        self._chunks += 1
        self._without_progress_bytes = 0
        super().on_body(body)

    @override
    def on_message_complete(self) -> None:
        self._in_message = False
        super().on_message_complete()
        if self.cycle.response_complete:  # the rest of the body was read for nothing
            self._stop_timer()
            self.timeout_keep_alive_task = self.loop.call_later(
                self.timeout_keep_alive, self.timeout_keep_alive_handler
            )

    @override
    def on_response_complete(self) -> None:
        """Begin the next request, or read what is left of this one's body, or wait."""
        super().on_response_complete()
        if self.transport.is_closing():
            return
        self.connection_limit.end_request(self)
        if self._in_message:
            self._unset_keepalive_if_required()
            if self.expect_100_continue and not self._body_begun:
                self.transport.close()  # whether the body or another request follows is not known (RFC 9110 §10.1.1)
            else:
                self._start_timer(self.DRAIN_TIMEOUT_S)
        elif self._unparsed:
            self._unset_keepalive_if_required()
            self.loop.call_soon(self._parse_unparsed)

    @override
    def pause_writing(self) -> None:
        super().pause_writing()
        self._send_timer = self.loop.call_later(self.SEND_TIMEOUT_S, self.transport.abort)

    @override
    def resume_writing(self) -> None:
        super().resume_writing()
        if self._send_timer is not None:
            self._send_timer.cancel()
            self._send_timer = None

    def _refuse(self, problem: str | ObscuraError) -> bytes:
        """Respond with a 400 unless a response has begun, and close once the client has read it; nothing follows."""
        self._refused = True
        error = InvalidRequest(problem) if isinstance(problem, str) else problem
        self._unset_keepalive_if_required()
        cycle: RequestResponseCycle | None = self.cycle if self._in_message and not self._in_head else None
        if cycle is None or not cycle.response_started:
            cors = self.cross_origin.refusal_headers(self._head) if self.cross_origin else {}
            self.transport.write(render_refusal(self.url, error, cors))
        if cycle is not None:
            cycle.disconnected = True
            cycle.message_event.set()
        # To close with bytes unread would reset the connection, and the client would not see the response.
        if self.transport.can_write_eof():
            self.transport.write_eof()
        self.flow.resume_reading()
        self._start_timer(self.LINGER_TIMEOUT_S)
        return b""

    def _start_timer(self, seconds: float) -> None:
        self._stop_timer()
        self._timer = self.loop.call_later(seconds, self.transport.abort)

    def _stop_timer(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
