"""Run by TensorZero's own environment: ``python tensorzero_server.py CONFIG URL_FILE`` serves until it is ended.

The wheel's Rust gateway chooses a free port by itself; its base URL goes into the file once it listens.
"""

import signal
import sys
from pathlib import Path

from tensorzero import _start_http_gateway  # type: ignore[import-not-found]

if __name__ == "__main__":
    gateway = _start_http_gateway(
        config_file=sys.argv[1], clickhouse_url=None, postgres_url=None, valkey_url=None, async_setup=False
    )
    Path(sys.argv[2]).write_text(gateway.base_url)
    signal.pause()
