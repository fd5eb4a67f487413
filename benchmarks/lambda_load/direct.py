"""The application called directly, in a process of its own: ``direct.py COUNT`` with an event on standard input.

Writes the milliseconds of each call to standard error, a JSON array. It is the application of the function, door and
all, in a process with the runtime's own settings; only the Runtime API is not there.
"""

import asyncio
import gc
import json
import sys
from time import monotonic, perf_counter

from starlette.types import Message, Receive

from obscura.aws.runtime.event import open_event
from obscura.aws.runtime.handler import load_entry
from obscura.aws.runtime.invocation import Invocation
from obscura.web.allocator import keep_large_buffers


async def measure(event: bytes, count: int) -> list[float]:
    """Call the application ``count`` times and give what each call took."""
    entry, took_ms = load_entry("app.handler"), []
    async with entry.running():
        gc.freeze()
        for _ in range(count):
            opened = open_event(Invocation("1", int((monotonic() + 1e10) * 1000), "", None, event))
            began_s = perf_counter()
            await entry.app(opened.scope, _receiving(opened.body), _send)
            took_ms.append((perf_counter() - began_s) * 1000)
    return took_ms


def _receiving(body: bytes) -> Receive:
    sent = False

    async def receive() -> Message:
        nonlocal sent
        if sent:
            await asyncio.Event().wait()
        sent = True
        return {"type": "http.request", "body": body, "more_body": False}

    return receive


async def _send(message: Message) -> None:
    pass


if __name__ == "__main__":
    keep_large_buffers()
    sys.stderr.write(json.dumps(asyncio.run(measure(sys.stdin.buffer.read(), int(sys.argv[1])))))
