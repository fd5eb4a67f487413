"""DynamoDB and S3 on loopback: moto's server, spoken to over HTTP as AWS would be."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from unittest.mock import patch

from moto.server import ThreadedMotoServer


@contextmanager
def aws_server() -> Iterator[str]:
    """Serve an empty account for as long as the context holds; boto3 finds it through the environment, as users do.

    Gives the endpoint's URL, for processes of their own.
    """
    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    try:
        host, port = server.get_host_and_port()
        with patch.dict(os.environ, aws_environment(f"http://{host}:{port}")):
            yield f"http://{host}:{port}"
    finally:
        server.stop()


def aws_environment(endpoint: str) -> dict[str, str]:
    """Give the variables by which boto3 finds ``endpoint`` in place of AWS."""
    return {
        "AWS_ENDPOINT_URL": endpoint,
        "AWS_ACCESS_KEY_ID": "testing",
        "AWS_SECRET_ACCESS_KEY": "testing",
        "AWS_DEFAULT_REGION": "eu-central-1",
    }
