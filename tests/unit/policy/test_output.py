"""Answers scanned in windows: the same whatever the chunks, and held back no longer than promised."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from obscura.policy.decision import Decision
from obscura.policy.document import ALL_PII
from obscura.policy.engine import CompiledPolicy
from obscura.policy.output import HOLD_BACK_CHARS, STEP_CHARS, OutputScanner
from obscura.policy.parse import parse_document
from obscura.policy.redaction import RedactionRules, mask


def policy(**rules: object) -> CompiledPolicy:
    return CompiledPolicy(parse_document({"policy_id": "p", "rules": rules}))


def scanned(scanner: OutputScanner, chunks: list[str]) -> tuple[str, list[Decision], bool]:
    released = [*(scanner.feed(chunk) for chunk in chunks), scanner.finish()]
    findings = [found.decision for one in released for found in one.findings]
    return "".join(one.text for one in released), findings, released[-1].ends


def cut(text: str, sizes: list[int]) -> list[str]:
    chunks = []
    for size in sizes:
        chunks.append(text[:size])
        text = text[size:]
    return [*chunks, text]


def test_without_rules_everything_passes_as_it_comes() -> None:
    scanner = policy().output_scanner()

    assert scanner.feed("a").text == "a"
    assert not policy().scans_output


@pytest.mark.parametrize("size", [1, 7, 1_000])
def test_a_denied_term_ends_the_text_before_it(size: int) -> None:
    text = "word " * 200 + "this is forbidden and more" + " word" * 200
    chunks = [text[start : start + size] for start in range(0, len(text), size)]

    assert scanned(policy(denylist=["forbidden"]).output_scanner(), chunks) == (
        text[: text.index("forbidden")],
        [Decision.REFUSE],
        True,
    )


def test_after_the_end_nothing_passes() -> None:
    scanner = policy(denylist=["forbidden"]).output_scanner()
    scanner.feed("forbidden" + " x" * 200)

    assert scanner.feed("more").text == ""
    assert scanner.finish().ends


def test_a_word_that_goes_on_in_the_next_chunk_is_not_the_term() -> None:
    scanner = policy(denylist=["ass"]).output_scanner()

    assert scanned(scanner, ["x " * 200 + "ass", "ume" + " x" * 200])[1:] == ([], False)


def test_a_flagged_term_is_reported_once_and_passes() -> None:
    scanner = policy(denylist=["forbidden"], actions={"denylist": "flag"}).output_scanner()
    text = "forbidden " * 100

    assert scanned(scanner, cut(text, [50] * 19)) == (text, [Decision.FLAG], False)


def test_the_hold_back_is_bounded() -> None:
    scanner = policy(denylist=["forbidden"]).output_scanner()
    text = "word " * 1_000
    passed = 0
    for start in range(0, len(text), 10):
        passed += len(scanner.feed(text[start : start + 10]).text)
        assert start + 10 - passed <= HOLD_BACK_CHARS + STEP_CHARS + 10


PIECES = [
    "ann@example.com",
    " ",
    "word ",
    "4111 1111 1111 1111",
    "forbidde",
    "n",
    "x" * 90,
    ", ",
    "é",
    "DE89 3704 0044 0532 0130 00",
]


@given(st.lists(st.sampled_from(PIECES), max_size=40), st.lists(st.integers(1, 120), max_size=40))
def test_masking_is_the_same_over_any_chunks(parts: list[str], sizes: list[int]) -> None:
    text = "".join(parts)
    rules = RedactionRules(ALL_PII)

    assert scanned(policy(redact_pii=True).output_scanner(), cut(text, sizes))[0] == mask(text, rules)[0]


@given(st.lists(st.sampled_from(PIECES), max_size=40), st.lists(st.integers(1, 120), max_size=40))
def test_the_end_is_the_same_over_any_chunks(parts: list[str], sizes: list[int]) -> None:
    text = "".join(parts)
    denying = policy(denylist=["forbidden"])
    whole = scanned(denying.output_scanner(), [text])

    assert scanned(denying.output_scanner(), cut(text, sizes)) == whole
