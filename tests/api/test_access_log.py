"""The access log: JSON lines with the keys that operators query."""

import json
import logging
import re
import time
from collections.abc import Callable, Iterator

import pytest

from obscura.api.access_log import log_exception, set_log_level
from tests.support.gateway import Gateway, chat_request

ALWAYS = ["level", "message", "timestamp", "service", "request_id"]


@pytest.fixture(autouse=True)
def level() -> Iterator[None]:
    """Log what the default logs, whatever a test sets."""
    logging.getLogger("obscura").setLevel("INFO")
    yield
    logging.getLogger("obscura").setLevel("INFO")


@pytest.fixture
def lines(caplog: pytest.LogCaptureFixture) -> Callable[[], list[dict]]:
    """Return a function that returns the lines so far, as they are written."""
    handler = logging.getLogger("obscura").handlers[0]

    def written() -> list[dict]:
        return [json.loads(handler.format(record)) for record in caplog.records if record.name == "obscura"]

    return written


def test_each_line_has_the_time_of_its_own_record() -> None:
    handler = logging.getLogger("obscura").handlers[0]
    record = logging.makeLogRecord({"levelname": "INFO", "msg": "request"})
    for second in (1_700_000_000, 1_700_000_001, 1_700_000_000):
        record.created, record.msecs = second + 0.042, 42.0

        expected = logging.Formatter().formatTime(record) + time.strftime("%z", time.localtime(second))
        assert json.loads(handler.format(record))["timestamp"] == expected


async def test_a_line_has_the_keys_that_operators_query(lines: Callable[[], list[dict]], demo_gateway: Gateway) -> None:
    await demo_gateway.chat(chat_request("hello"))
    [line] = lines()

    assert list(line) == [
        *ALWAYS, "method", "path", "dialect", "status", "elapsed_ms", "project", "model", "streamed", "body_bytes",
        "images", "formats", "bytes_before", "bytes_after", "pixels_before", "pixels_after", "cached_verdicts",
        "image_tokens", "step_ms", "first_byte_ms",
    ]  # fmt: skip
    assert (line["level"], line["message"], line["service"]) == ("INFO", "request", "obscura")
    assert re.fullmatch(r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d,\d{3}[+-]\d{4}", line["timestamp"])


async def test_a_path_outside_of_the_dialects_is_not_logged(
    lines: Callable[[], list[dict]], demo_gateway: Gateway
) -> None:
    await demo_gateway.client.get("/v1/files/a-private-id")
    [line] = lines()

    assert list(line) == [*ALWAYS, "method", "status", "code", "elapsed_ms"]


async def test_a_model_that_is_no_name_is_not_logged(lines: Callable[[], list[dict]], demo_gateway: Gateway) -> None:
    await demo_gateway.chat(chat_request("hello") | {"model": "a private text"})

    assert [line["model"] for line in lines()] == ["(not a name)"]


def test_an_exception_is_logged_by_type_and_place_without_its_message(lines: Callable[[], list[dict]]) -> None:
    try:
        raise ValueError("a private text")
    except ValueError as error:
        log_exception(error, "req_1")

    [line] = lines()
    assert (line["level"], line["message"], line["request_id"], line["fault"]) == (
        "ERROR",
        "fault",
        "req_1",
        "ValueError",
    )
    assert re.fullmatch(r"test_access_log\.py:\d+ test_\w+", line["rose_at"][-1])
    assert "private" not in str(line)


@pytest.mark.parametrize(
    ("on_lambda", "expected"), [("", "WARNING"), ("DEBUG", "DEBUG"), ("FATAL", "CRITICAL"), ("ERROR", "ERROR")]
)
def test_the_functions_own_log_level_takes_precedence(
    monkeypatch: pytest.MonkeyPatch, on_lambda: str, expected: str
) -> None:
    monkeypatch.setenv("AWS_LAMBDA_LOG_LEVEL", on_lambda)

    set_log_level("WARNING")

    assert logging.getLevelName(logging.getLogger("obscura").level) == expected
