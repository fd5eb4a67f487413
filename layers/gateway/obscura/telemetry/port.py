"""``/metrics`` without a key, on a port of its own: a thread that answers nothing else (ADR 191)."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from ipaddress import IPv6Address
from socket import AF_INET6
from threading import Thread
from typing import override

from obscura.settings import PREFIX, ConfigurationError, Settings
from obscura.telemetry.exposition import CONTENT_TYPE, Counts, render
from obscura.telemetry.sharing import SharedMetrics, read_counts, shared_folder

PATH = "/metrics"
CONNECTION_TIMEOUT_S = 5

type ReadCounts = Callable[[], Sequence[Counts]]


@contextmanager
def metrics_port(settings: Settings, own: SharedMetrics | None) -> Iterator[None]:
    """Serve the metrics of this process on ``OBSCURA_METRICS_PORT``, if it is set.

    A supervisor has none of its ``own``: then the processes that it starts while the context holds share theirs, and
    the port, which it alone binds, has their sums. Raises ConfigurationError for a port that cannot be listened on.
    """
    if settings.metrics_port is not None and not settings.metrics:
        raise ConfigurationError(f"{PREFIX}METRICS_PORT needs {PREFIX}METRICS, which is false.")
    with ExitStack() as stack:
        if own is None and settings.metrics:
            folder = stack.enter_context(shared_folder())
            _serve(settings, stack, lambda: read_counts(folder))
        elif own is not None:
            _serve(settings, stack, own.all_counts)
        yield


def _serve(settings: Settings, stack: ExitStack, read: ReadCounts) -> None:
    if settings.metrics_port is None:
        return
    server_type = _V6Server if isinstance(settings.metrics_host, IPv6Address) else _Server
    address = str(settings.metrics_host), settings.metrics_port
    try:
        server = server_type(address, type("Handler", (_Handler,), {"read": staticmethod(read)}))
    except OSError as failure:
        raise ConfigurationError(
            f"{PREFIX}METRICS_PORT: cannot listen on {address[0]}:{address[1]}: {failure.strerror}."
        ) from None
    thread = Thread(target=server.serve_forever, name="metrics", daemon=True)
    thread.start()
    stack.callback(thread.join)
    stack.callback(server.server_close)
    stack.callback(server.shutdown)


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    block_on_close = False

    @override
    def handle_error(self, request: object, client_address: object) -> None:
        """Leave a connection that broke off without a line in the log."""


class _V6Server(_Server):
    address_family = AF_INET6


class _Handler(BaseHTTPRequestHandler):
    timeout = CONNECTION_TIMEOUT_S
    server_version = "obscura"
    sys_version = ""
    read: ReadCounts

    def do_GET(self) -> None:
        """Send the metrics, or a 404 for another path."""
        self._send(with_body=True)

    def do_HEAD(self) -> None:
        """Send the head alone."""
        self._send(with_body=False)

    def _send(self, *, with_body: bool) -> None:
        found = self.path.partition("?")[0] == PATH
        body = render(self.read()) if found else b"Only /metrics is served here.\n"
        self.send_response(200 if found else 404)
        self.send_header("Content-Type", CONTENT_TYPE if found else "text/plain; charset=utf-8")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        if with_body:
            self.wfile.write(body)

    @override
    def log_message(self, format: str, *args: object) -> None:
        """Write no line: it would have an address."""
