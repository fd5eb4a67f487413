"""Metrics of each request in CloudWatch's embedded metric format: a log line, written by Powertools."""

import os

from aws_lambda_powertools.metrics import Metrics, MetricUnit, single_metric

from obscura.access_record import AccessRecord

NAMESPACE = "Obscura"
SERVICE = os.environ.get("POWERTOOLS_SERVICE_NAME") or "obscura"
"""The only dimension of every metric but ``Refusals``, which also has an error's ``code``.

The template sets it to the stack's name, so that two stacks of an account are counted apart.
"""

BLOCKS = frozenset({"moderation_blocked", "policy_blocked"})
"""What ends a response that has begun without a failure of Obscura's or of the upstream's."""

_metrics = Metrics(namespace=NAMESPACE, service=SERVICE)


def emit_metrics(record: AccessRecord) -> None:
    """Write the metrics of one completed request."""
    _metrics.add_metric("Requests", MetricUnit.Count, 1)
    if record.images:
        saved_bytes = sum(image.bytes_before - image.bytes_after for image in record.images)
        _metrics.add_metric("Images", MetricUnit.Count, len(record.images))
        _metrics.add_metric("ImageTokens", MetricUnit.Count, sum(image.tokens for image in record.images))
        _metrics.add_metric("BytesSavedByResizing", MetricUnit.Bytes, max(0, saved_bytes))
    if "relay" in record.step_ms:
        _metrics.add_metric("UpstreamLatency", MetricUnit.Milliseconds, record.step_ms["relay"])
        if record.first_byte_ms is not None:
            _metrics.add_metric("TimeToFirstByte", MetricUnit.Milliseconds, record.first_byte_ms)
    if 0 < record.status < 400 and record.code is not None and record.code not in BLOCKS:
        _metrics.add_metric("BrokenStreams", MetricUnit.Count, 1)
    if record.code == "moderation_blocked":
        _metrics.add_metric("ModerationBlocks", MetricUnit.Count, 1)
    _metrics.flush_metrics()
    if record.code is not None:
        with single_metric("Refusals", MetricUnit.Count, 1, namespace=NAMESPACE) as refusals:
            refusals.add_dimension("service", SERVICE)
            refusals.add_dimension("code", record.code)
