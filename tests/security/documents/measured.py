"""Renders one hostile PDF as the gateway does: ``python -m tests.security.documents.measured NAME`` prints JSON."""

import asyncio
import json
import resource
import sys
from time import perf_counter

from obscura.documents.base import DocumentLimits
from obscura.documents.render import DocumentRenderer
from obscura.errors import ObscuraError
from obscura.execution import Caller
from tests.security.documents.hostile import HOSTILE


async def main() -> None:
    document = HOSTILE[sys.argv[1]]()
    renderer = DocumentRenderer()
    before_kb = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    began_s = perf_counter()
    code, text = "", ""
    try:
        texts = await renderer.render(
            document,
            longest_side_px=1280,
            limits=DocumentLimits(),
            caller=Caller("key:1"),
            prepare=lambda page: page.text,
        )
        text = texts[0]
    except ObscuraError as error:
        code = error.code
    elapsed_s = perf_counter() - began_s
    renderer.close()
    measured = {
        "code": code,
        "text": text[:100],
        "bytes": len(document),
        "elapsed_s": round(elapsed_s, 2),
        "cpu_s": round(resource.getrusage(resource.RUSAGE_CHILDREN).ru_utime, 2),
        "child_mb": resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss // 1024,
        "grown_mb": (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before_kb) // 1024,
    }
    print(json.dumps(measured))


if __name__ == "__main__":
    asyncio.run(main())
