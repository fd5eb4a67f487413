"""Metrics of a request as CloudWatch reads them."""

import json

import pytest

from obscura.access_record import AccessRecord, ImageRecord
from obscura.aws.metrics import emit_metrics


def an_image(bytes_before: int, bytes_after: int, tokens: int) -> ImageRecord:
    return ImageRecord("JPEG", bytes_before, bytes_after, "4000x3000", "1280x960", tokens)


def blocks_of(output: str) -> list[tuple[dict, dict[str, str]]]:
    """Each metric line with its units by name."""
    lines = [json.loads(line) for line in output.splitlines()]
    return [
        (line, {metric["Name"]: metric["Unit"] for metric in line["_aws"]["CloudWatchMetrics"][0]["Metrics"]})
        for line in lines
    ]


def test_images_tokens_latency_and_bytes_saved_are_counted(capsys: pytest.CaptureFixture[str]) -> None:
    record = AccessRecord("req_1", images=[an_image(3000, 500, 100), an_image(1000, 1200, 50)])
    record.step_ms["relay"] = 12.5

    emit_metrics(record)

    ((line, units),) = blocks_of(capsys.readouterr().out)
    assert units == {
        "Requests": "Count",
        "Images": "Count",
        "ImageTokens": "Count",
        "BytesSavedByResizing": "Bytes",
        "UpstreamLatency": "Milliseconds",
    }
    assert (line["Images"], line["ImageTokens"]) == ([2], [150])
    assert (line["BytesSavedByResizing"], line["UpstreamLatency"]) == ([2300], [12.5])
    assert line["_aws"]["CloudWatchMetrics"][0]["Namespace"] == "Obscura"


@pytest.mark.parametrize(("code", "blocks"), [("moderation_blocked", 1), ("invalid_json", None)])
def test_an_error_is_counted_under_its_code(capsys: pytest.CaptureFixture[str], code: str, blocks: int | None) -> None:
    emit_metrics(AccessRecord("req_1", code=code))

    (line, _), (error, _) = blocks_of(capsys.readouterr().out)
    assert line.get("ModerationBlocks") == (blocks and [blocks])
    assert (error["Refusals"], error["code"], error["service"]) == ([1], code, "obscura")
    assert error["_aws"]["CloudWatchMetrics"][0]["Dimensions"] == [["service", "code"]]


def test_each_request_has_metrics_of_its_own(capsys: pytest.CaptureFixture[str]) -> None:
    emit_metrics(AccessRecord("req_1", images=[an_image(3000, 500, 100)]))
    emit_metrics(AccessRecord("req_2"))

    _, (second, _) = blocks_of(capsys.readouterr().out)
    assert "Images" not in second


def test_the_time_to_the_first_byte_is_measured_beside_the_upstreams(capsys: pytest.CaptureFixture[str]) -> None:
    record = AccessRecord("req_1", status=200, first_byte_ms=310.5)
    record.step_ms["relay"] = 4000.0

    emit_metrics(record)

    ((line, units),) = blocks_of(capsys.readouterr().out)
    assert units["TimeToFirstByte"] == "Milliseconds"
    assert line["TimeToFirstByte"] == [310.5]


@pytest.mark.parametrize(
    ("status", "code", "broken"),
    [(200, "upstream_timeout", 1), (200, "moderation_blocked", None), (502, "upstream_error", None), (200, None, None)],
)
def test_a_stream_that_breaks_after_its_head_is_counted(
    capsys: pytest.CaptureFixture[str], status: int, code: str | None, broken: int | None
) -> None:
    emit_metrics(AccessRecord("req_1", status=status, code=code))

    (line, _), *_ = blocks_of(capsys.readouterr().out)
    assert line.get("BrokenStreams") == (broken and [broken])
