"""The external checks of a request: asked one after the other before moderation, on what the one before left of it."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import partial

from obscura.dialects.base import RequestContent
from obscura.errors import ObscuraError
from obscura.execution import run_off_loop
from obscura.pipeline.apply_policy import OFF_LOOP_CHARS, RequestPolicy
from obscura.pipeline.check_content import CheckedContent, ContentCheck
from obscura.pipeline.policy_content import redacted, write_images, write_texts
from obscura.policy.document import ExternalCheck
from obscura.policy.engine import CheckedRequest
from obscura.policy.facts import CheckResult, RequestFacts

FAILED_HEADER = "x-policy-checks-failed"
"""The checks without a result, and what became of the request: ``name=open`` or ``name=closed``."""


def failed_header(results: Mapping[ExternalCheck, CheckResult]) -> dict[str, str]:
    """Return the header that says which checks failed, if any did."""
    failed = [f"{check.name}={check.on_failure}" for check, result in results.items() if result.failed is not None]
    return {FAILED_HEADER: ", ".join(failed)} if failed else {}


def add_failed_answer_checks(headers: dict[str, str], failed: Mapping[str, str]) -> None:
    """Add the checks of the answer that failed, by their rule and what became of it, to the header that says so."""
    named = [f"{rule.partition('.checks.')[2]}={reason.rpartition(' ')[2]}" for rule, reason in failed.items()]
    if named:
        earlier = headers[FAILED_HEADER].split(", ") if FAILED_HEADER in headers else []
        headers[FAILED_HEADER] = ", ".join(dict.fromkeys([*earlier, *named]))


@dataclass(frozen=True, slots=True)
class ExternallyChecked:
    """A request after its external checks: what they leave of it, what is found so far, and the headers of it."""

    content: CheckedContent
    checked: CheckedRequest
    headers: dict[str, str]


async def apply_input_rules(  # noqa: PLR0913 what a request is decided on by
    check: ContentCheck,
    parsed: RequestContent,
    content: CheckedContent,
    facts: RequestFacts,
    policy: RequestPolicy,
    *,
    is_large: bool,
) -> ExternallyChecked:
    """Apply the rules before moderation to a prepared request, redact it if it goes on, and ask its external checks."""
    checked = await policy.check(facts)
    if checked.texts != facts.texts and checked.decision.reaches_model:
        is_large = is_large or sum(map(len, facts.texts)) > OFF_LOOP_CHARS
        redact = partial(redacted, parsed, content, checked, policy.gate.held)
        content = await run_off_loop(redact, off_loop=is_large)
    return await ask_external_checks(check, parsed, content, policy, checked)


async def ask_external_checks(
    check: ContentCheck, parsed: RequestContent, content: CheckedContent, policy: RequestPolicy, checked: CheckedRequest
) -> ExternallyChecked:
    """Ask every check of the versions that are evaluated; those of the version that holds may change the request.

    They are sent the redacted texts and the prepared images. What a check wants changed and cannot be is a block.
    """
    checks, held = policy.gate.checks(), policy.gate.held
    if not checks or not checked.decision.reaches_model:
        return ExternallyChecked(content, policy.gate.add_checks({}, checked.texts) if checks else checked, {})
    results: dict[ExternalCheck, CheckResult] = {}
    check.record.left_gateway = True
    for external in checks:
        texts = content.texts_of(parsed)
        images = tuple(image.data_url.decode() for image in content.images_and_pages)
        result = await policy.checks.ask(external, replace(checked.facts, texts=texts), images)
        if result.changed and not result.blocked and external in held.input_checks:
            try:
                if result.texts is not None:
                    content = write_texts(parsed, content, texts, result.texts)
                    if held.redaction:
                        left = content
                        content = await run_off_loop(
                            lambda left=left: redacted(parsed, left, checked, held),  # type: ignore[misc]
                            off_loop=True,
                        )
                if result.images is not None:
                    content = await write_images(check, parsed, content, result.images)
            except (ObscuraError, ValueError):
                result = CheckResult(result.name, blocked=True, changed=True)
        results[external] = result
        if result.blocked and external in held.input_checks:
            break
    return ExternallyChecked(content, policy.gate.add_checks(results, content.texts_of(parsed)), failed_header(results))
