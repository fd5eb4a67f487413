"""Metrics: what is counted of a request, what its labels may be, and the sum over processes."""

import os
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

import pytest
from prometheus_client.parser import text_string_to_metric_families

from obscura.access_record import AccessRecord, ImageRecord
from obscura.telemetry.exposition import COUNTERS, GAUGES, HISTOGRAMS, render
from obscura.telemetry.metrics import Metrics
from obscura.telemetry.sharing import FOLDER, SharedMetrics, counts_of, read_counts, shared_folder

CHAT = "/v1/chat/completions"


def a_record(**fields: object) -> AccessRecord:
    record = AccessRecord("req_1", dialect="chat", endpoint=CHAT, status=200, first_byte_ms=12.0)
    for name, value in fields.items():
        setattr(record, name, value)
    return record


def samples(text: bytes) -> dict[tuple[str, ...], float]:
    """Every sample by its name and the values of its labels, in the order in which they are declared."""
    order = [label for _, labels in (COUNTERS | GAUGES | HISTOGRAMS).values() for label in labels]
    families = text_string_to_metric_families(text.decode())
    return {
        (one.name, *(one.labels[name] for name in dict.fromkeys([*order, "le"]) if name in one.labels)): one.value
        for family in families
        for one in family.samples
    }


def counted(*records: AccessRecord) -> dict[tuple[str, ...], float]:
    metrics = Metrics()
    for record in records:
        metrics.began(record, {})
        metrics.ended(record)
    return samples(render([counts_of(metrics)]))


def test_a_request_is_counted_by_endpoint_dialect_status_and_code() -> None:
    found = counted(a_record(), a_record(), a_record(status=503, code="upstream_unavailable"))

    assert found["obscura_requests_total", CHAT, "chat", "2xx", ""] == 2
    assert found["obscura_requests_total", CHAT, "chat", "5xx", "upstream_unavailable"] == 1
    assert found["obscura_requests_in_flight",] == 0
    assert found["obscura_request_duration_seconds_count", CHAT] == 3


def test_a_time_is_in_every_bucket_from_its_own_up() -> None:
    found = counted(a_record(first_byte_ms=250.0), a_record(first_byte_ms=3_000.0))

    name = "obscura_time_to_first_byte_seconds"
    assert [found[f"{name}_bucket", CHAT, bound] for bound in ("0.1", "0.25", "2.5", "5.0", "900.0", "+Inf")] == [
        0, 1, 1, 2, 2, 2,
    ]  # fmt: skip
    assert found[f"{name}_sum", CHAT] == pytest.approx(3.25)


def test_no_text_of_a_caller_or_an_upstream_becomes_a_label() -> None:
    records = [
        a_record(model=f"model-{number}", code=f"code-{number}", status=400, input_tokens=1, endpoint=None)
        for number in range(100)
    ]
    for record in records:
        record.upstream_calls.append((None, record.code or ""))

    found = counted(*records)

    assert found["obscura_requests_total", "other", "chat", "4xx", "other"] == 100
    assert found["obscura_upstream_calls_total", "default", "other"] == 100
    assert found["obscura_tokens_total", "other", "input"] == 100
    assert "model-" not in str(found) and "code-" not in str(found)


def test_a_model_of_the_catalog_is_counted_by_its_name() -> None:
    metrics = Metrics()
    metrics.named_models = frozenset({"vision"})
    for model in ("vision", "made up"):
        metrics.ended(a_record(model=model, input_tokens=700, output_tokens=9, cached_tokens=200, image_tokens=600))

    found = samples(render([counts_of(metrics)]))

    assert [found["obscura_tokens_total", "vision", kind] for kind in ("input", "output", "cached", "image")] == [
        700, 9, 200, 600,
    ]  # fmt: skip
    assert found["obscura_tokens_total", "other", "input"] == 700


def test_every_call_of_a_group_is_counted_and_a_broken_stream_is_no_success() -> None:
    fell_back = a_record(upstream_calls=[("one", "upstream_timeout"), ("two", "ok")])
    broken = a_record(upstream_calls=[("two", "ok")], code="upstream_error")
    blocked = a_record(upstream_calls=[("two", "ok")], code="policy_blocked")

    found = counted(fell_back, broken, blocked)

    assert found["obscura_upstream_calls_total", "one", "upstream_timeout"] == 1
    assert found["obscura_upstream_calls_total", "two", "ok"] == 2
    assert found["obscura_upstream_calls_total", "two", "upstream_error"] == 1


def test_images_and_verdicts_are_counted() -> None:
    image = ImageRecord("JPEG", 900, 300, "4000x3000", "1280x960", 100)
    clean = a_record(images=[image, image], clean_verdicts=3, cached_verdicts=1)
    flagged = a_record(flagged_verdicts=1, code="moderation_blocked", status=400)
    without = a_record(code="moderation_unavailable", status=503)

    found = counted(clean, flagged, without)

    results = {key[1]: value for key, value in found.items() if key[0] == "obscura_moderation_results_total"}
    assert results == {"clean": 3, "cached": 1, "flagged": 1, "unavailable": 1}
    assert found["obscura_images_prepared_total", "JPEG"] == 2
    assert (found["obscura_image_bytes_total", "received"], found["obscura_image_bytes_total", "prepared"]) == (
        1800,
        600,
    )


def test_processes_are_summed_and_an_ended_one_holds_nothing(tmp_path: Path) -> None:
    program = "from tests.unit.telemetry.test_metrics import a_worker\na_worker(requests=5, in_flight=3)\n"
    environment = {**os.environ, FOLDER: str(tmp_path)}
    subprocess.run([sys.executable, "-c", program], env=environment, check=True)
    own = a_worker(requests=2, in_flight=1, environment={FOLDER: str(tmp_path)})
    other = a_worker(requests=10, in_flight=4, environment={FOLDER: str(tmp_path)})

    found = samples(render(other.all_counts()))

    assert found["obscura_requests_total", CHAT, "chat", "2xx", ""] == 17
    assert found["obscura_request_duration_seconds_count", CHAT] == 17
    assert found["obscura_requests_in_flight",] == 5
    assert samples(render(read_counts(tmp_path))) == pytest.approx(samples(render(own.all_counts())))


def a_worker(requests: int, in_flight: int, environment: Mapping[str, str] = os.environ) -> SharedMetrics:
    """A process's metrics, written once."""
    metrics = Metrics()
    shared = SharedMetrics(metrics, environment)
    for _ in range(requests):
        metrics.began(a_record(), {})
        metrics.ended(a_record())
    metrics.in_flight = in_flight
    shared.write()
    return shared


async def test_a_process_writes_its_counts_while_it_serves(tmp_path: Path) -> None:
    shared = SharedMetrics(Metrics(), {FOLDER: str(tmp_path)})

    async with shared.writing():
        shared.metrics.ended(a_record())

    [counts] = read_counts(tmp_path)
    assert counts.counts["obscura_requests", CHAT, "chat", "2xx", ""] == 1


def test_a_folder_that_is_gone_ends_nothing(tmp_path: Path) -> None:
    shared = SharedMetrics(Metrics(), {FOLDER: str(tmp_path / "gone")})

    shared.write()

    assert len(shared.all_counts()) == 1


def test_the_folder_is_private_and_gone_afterwards() -> None:
    with shared_folder() as folder:
        assert folder.stat().st_mode & 0o777 == 0o700
        assert os.environ[FOLDER] == str(folder)

    assert not folder.exists()
    assert FOLDER not in os.environ
