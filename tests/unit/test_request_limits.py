"""The limits of one request: never over what the memory of the process has for it."""

import pytest

from obscura.bootstrap import open_memory, request_limits
from obscura.documents.base import MAX_CHILD_BYTES
from obscura.documents.render import MIN_CHILD_BYTES, child_memory_bytes, usual_children
from obscura.imaging.decode_memory import MAX_DECODE_BYTES
from obscura.pipeline.services import RequestLimits
from obscura.settings import Settings

MIB = 1024 * 1024


def limits_of(**settings: int) -> RequestLimits:
    given = Settings(**settings)  # type: ignore[arg-type]
    return request_limits(given, open_memory(given))


def test_with_enough_memory_the_limits_are_the_settings() -> None:
    limits = limits_of(memory_budget_mb=512)

    assert limits.body_bytes == 35 * MIB
    assert limits.image.raw_bytes == limits.document.raw_bytes == 15 * MIB
    assert limits.document.stored_bytes == 32 * MIB
    assert limits.image.decode_bytes == MAX_DECODE_BYTES


def test_a_small_budget_lowers_them() -> None:
    limits = limits_of(memory_budget_mb=40, max_image_bytes=30 * MIB)

    assert limits.body_bytes == limits.image.raw_bytes == limits.document.stored_bytes == 20 * MIB
    assert limits.document.raw_bytes == 15 * MIB
    assert limits.image.decode_bytes == 80 * MIB


def test_the_budget_follows_the_memory_of_a_function(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_LAMBDA_FUNCTION_MEMORY_SIZE", "512")

    assert open_memory(Settings()).total_bytes == 128 * MIB
    assert open_memory(Settings(memory_budget_mb=64)).total_bytes == 64 * MIB


def test_children_share_a_quarter_of_the_memory() -> None:
    assert child_memory_bytes(512 * MIB) == MIN_CHILD_BYTES
    assert child_memory_bytes(4 * 300 * usual_children() * MIB) == 300 * MIB
    assert child_memory_bytes(1024**5) == MAX_CHILD_BYTES
