"""The application called directly, in a process of its own: ``direct.py COUNT`` with an event on standard input.

Writes the milliseconds of each call to standard error, as a JSON array. It is the function's whole application in a
process with the runtime's own settings; only the Runtime API is missing.
"""

import asyncio
import gc
import json
import sys
from time import monotonic, perf_counter

from starlette.types import Message, Receive

from obscura.api.process import tune_malloc
from obscura.aws.runtime.api import Invocation
from obscura.aws.runtime.asgi_bridge import scope_from_event
from obscura.aws.runtime.loop import load_handler


async def measure(event: bytes, count: int) -> list[float]:
    """Call the application ``count`` times and return the milliseconds of each call."""
    entry, elapsed_ms = load_handler("app.handler"), []
    async with entry.lifespan():
        gc.freeze()
        for _ in range(count):
            opened = scope_from_event(Invocation("1", int((monotonic() + 1e10) * 1000), "", None, event))
            began_s = perf_counter()
            await entry.app(opened.scope, _receiving(opened.body), _send)
            elapsed_ms.append((perf_counter() - began_s) * 1000)
    return elapsed_ms


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
    tune_malloc()
    sys.stderr.write(json.dumps(asyncio.run(measure(sys.stdin.buffer.read(), int(sys.argv[1])))))
