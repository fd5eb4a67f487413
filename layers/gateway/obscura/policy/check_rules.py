"""What the results of external checks come to, by the layer that names them."""

from collections.abc import Iterator, Sequence

from obscura.policy.decision import Finding, Layer
from obscura.policy.document import ExternalCheck
from obscura.policy.facts import CheckResult


def external_findings(
    layer: Layer, results: Sequence[CheckResult], skipped: list[tuple[str, str]]
) -> Iterator[Finding]:
    """Yield the findings of a request's checks, and add to ``skipped`` those without a result."""
    by_name = {result.name: result for result in results}
    for check in layer.document.checks:
        if check.direction == "output":
            continue
        name = f"{layer.name}.checks.{check.name}"
        result = by_name.get(check.name) or CheckResult(check.name, failed="no result")
        if (failure := check_failure(check, result)) is not None:
            skipped.append((name, failure))
        yield from check_findings(layer, check, result)


def check_failure(check: ExternalCheck, result: CheckResult) -> str | None:
    """Return why a check has no result and what became of it (``timeout, failed open``); None if it has one."""
    return None if result.failed is None else f"{result.failed}, failed {check.on_failure}"


def check_findings(layer: Layer, check: ExternalCheck, result: CheckResult) -> Iterator[Finding]:
    """Yield the finding of one check, if it blocked or failed closed."""
    if result.failed is not None:
        if check.on_failure == "closed":
            yield layer.found("checks", f"{check.name}: {result.failed}, failed closed", action="block")
    elif result.blocked:
        yield layer.found("checks", f"{check.name}: blocked")
