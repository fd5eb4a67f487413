"""Functions of little memory: requests of as many pixels as are allowed never take more than there is.

``benchmarks/lambda_memory.py`` does the same in a memory control group, with more sizes and many requests at once.
"""

import re
from pathlib import Path

from tests.support.fake_upstream import answers
from tests.support.lambda_events import rest_event
from tests.support.lambda_process import Function, lambda_function
from tests.support.loopback_server import loopback_server
from tests.support.memory_bombs import bombs

SIZE_MB = 1024
"""One such PNG is decoded, and what is more is refused; the benchmark has sizes that refuse all, and that take more."""


# Over 2 s: images of 64 megapixels are made, and one is decoded.
async def test_images_of_64_megapixels_never_end_a_function(tmp_path: Path) -> None:
    environment = {"AWS_LAMBDA_FUNCTION_MEMORY_SIZE": str(SIZE_MB)}
    async with loopback_server(answers()) as upstream:
        async with lambda_function("chat", tmp_path, environment, UPSTREAM_URL=upstream.v1) as function:
            responses = {}
            for name, body in bombs().items():
                event = rest_event("POST", "/v1/chat/completions", body, **function.bearer)
                responses[name] = function.api.invoke(event)
            statuses = {(await response.head())["statusCode"] for response in responses.values()}
            refused = [await response.json() for response in responses.values()]
            peak_mib = _peak_mib(function)
            assert function.process.returncode is None

    assert statuses == {200, 400}
    codes = {answer["error"]["code"] for answer in refused if "error" in answer}
    assert codes <= {"image_too_many_pixels", "too_many_pixels"}
    assert peak_mib < 0.6 * SIZE_MB


def _peak_mib(function: Function) -> float:
    status = Path(f"/proc/{function.process.pid}/status").read_text()
    return int(re.search(r"VmHWM:\s+(\d+)", status)[1]) / 1024
