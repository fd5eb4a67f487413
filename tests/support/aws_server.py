"""DynamoDB and S3 on loopback: moto's server, called over HTTP as AWS is."""

import os
import threading
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from typing import Any
from unittest.mock import patch

from moto.moto_server.werkzeug_app import DomainDispatcherApplication, MotoRequestHandler, create_backend_app
from werkzeug.serving import make_server

POLL_INTERVAL_S = 0.02


@contextmanager
def aws_server() -> Iterator[str]:
    """Serve an account for as long as the context holds; boto3 finds it through the environment, as users do.

    Yields the endpoint's URL, for other processes. All servers of one process share one account.
    """
    with aws_server_until_killed() as (url, _):
        yield url


@contextmanager
def aws_server_until_killed() -> Iterator[tuple[str, Callable[[], None]]]:
    """Serve as ``aws_server`` does; the second value ends the server amid its requests."""
    server = make_server("127.0.0.1", 0, _Serialized(), threaded=True, request_handler=_Quiet)
    serving = threading.Thread(target=server.serve_forever, args=(POLL_INTERVAL_S,))
    serving.start()

    def kill() -> None:
        if serving.is_alive():
            server.shutdown()
            serving.join()
            server.server_close()

    url = f"http://127.0.0.1:{server.server_port}"
    try:
        with patch.dict(os.environ, aws_environment(url)):
            yield url, kill
    finally:
        kill()


class _Serialized:
    """One call at a time, as DynamoDB isolates them; moto's own transactions are not safe in threads."""

    def __init__(self) -> None:
        self._app = DomainDispatcherApplication(create_backend_app)
        self._lock = threading.Lock()

    def __call__(self, environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
        with self._lock:
            response: Iterable[bytes] = self._app(environ, start_response)
            return response


class _Quiet(MotoRequestHandler):
    def log(self, *_: object) -> None:
        pass


def aws_environment(endpoint: str) -> dict[str, str]:
    """Return the variables by which boto3 finds ``endpoint`` in place of AWS."""
    return {
        "AWS_ENDPOINT_URL": endpoint,
        "AWS_ACCESS_KEY_ID": "testing",
        "AWS_SECRET_ACCESS_KEY": "testing",
        "AWS_DEFAULT_REGION": "eu-central-1",
    }
