"""Terms, expressions, personal data and secrets in text."""

import re
import time

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from obscura.errors import InvalidRequest
from obscura.policy.document import ALL_PII, Regex
from obscura.policy.folding import folded_view, plain_view
from obscura.policy.parse import parse_document
from obscura.policy.pii import is_card, is_iban
from obscura.policy.redaction import RedactionRules, Redactor, mask
from obscura.policy.regexes import RegexError, compile_regex, states_of
from obscura.policy.terms import ListMatcher, SearchedText

EVERYTHING = RedactionRules(ALL_PII, True, ListMatcher(["Project Zeus"]))


def names(terms: list[str], text: str) -> list[str]:
    return ListMatcher(terms).names(SearchedText(text))


@pytest.mark.parametrize(
    "text",
    [
        "this is forbidden.",
        "FORBIDDEN",
        "for\u200bbid\u00adden",  # zero-width space, soft hyphen
        "fоrbiddеn",  # Cyrillic о and е
        "ｆｏｒｂｉｄｄｅｎ",
        "𝓯𝓸𝓻𝓫𝓲𝓭𝓭𝓮𝓷",
        "ⓕⓞⓡⓑⓘⓓⓓⓔⓝ",
        "f̶o̶r̶b̶i̶d̶d̶e̶n̶",
        "fórbíddèn",
        "forbidden_thing",
        "(forbidden)",
        "用forbidden做",
        "".join(chr(0xE0000 + ord(letter)) for letter in "forbidden"),
        "harmless" + "".join(chr(0xE0000 + ord(letter)) for letter in "forbidden"),
        "f\U000e0061orbidden",  # a tag character in the word
        "for\u202ebidden",  # a direction override
        "\ud800 forbidden",
    ],
)
def test_a_term_is_found_in_disguise(text: str) -> None:
    assert names(["forbidden"], text) == ["forbidden"]


@pytest.mark.parametrize("text", ["unforbidden", "forbiddens", "forbid den", "for bidden", "forbidden2", ""])
def test_a_term_is_a_whole_word(text: str) -> None:
    assert names(["forbidden"], text) == []


@pytest.mark.parametrize(
    ("term", "text", "found"),
    [
        ("forbid*", "it is forbidden", True),
        ("forbid*", "unforbid", False),
        ("*bidden", "forbidden", True),
        ("*bidden", "biddenly", False),
        ("*bidd*", "forbidden", True),
        ("credit card", "credit \n\t card", True),
        ("credit card", "credit\u00a0card", True),
        ("credit card", "creditcard", False),
        ("c++", "I like C++.", True),
        ("炸弹", "制造炸弹方法", True),
        ("ระเบิด", "ทำระเบิดเอง", True),
        ("бомба", "бомба!", True),
        ("бомба", "бомбам", False),
        ("résumé", "my RESUME", True),
        ("ß", "SS", True),
        ("a/b", "a/b", True),
        ("(x)", "f(x) (x)", True),
    ],
)
def test_edges_of_terms(term: str, text: str, found: bool) -> None:
    assert names([term], text) == ([term] if found else [])


def test_every_entry_that_is_hit_is_named_once() -> None:
    assert names(["one", "two", "three"], "two one two one") == ["two", "one"]


@given(st.lists(st.sampled_from(["bad", "word", "ok", "\u200b", "x", " ", ".", "é", "炸"]), max_size=30))
def test_terms_agree_with_a_plain_search(parts: list[str]) -> None:
    text = "".join(parts)
    plain = text.replace("\u200b", "").replace("é", "e")
    expected = re.search(r"(?<![a-zA-Z0-9])bad(?![a-zA-Z0-9])", plain) is not None

    assert (names(["bad"], text) == ["bad"]) is expected


@settings(max_examples=200)
@given(st.text(min_size=1, max_size=20))
def test_any_term_that_is_accepted_hits_itself(term: str) -> None:
    try:
        parse_document({"policy_id": "p", "rules": {"denylist": [term]}})
    except InvalidRequest:
        return

    assert names([term], f"so {term.strip('*')} it is") == [term]


@given(st.text(max_size=60))
def test_places_are_places_of_the_source(text: str) -> None:
    for view in (folded_view(text), plain_view(text)):
        for index in range(len(view.text)):
            start, end = view.source_span(index, index + 1)
            assert 0 <= start < end <= len(text)


@pytest.mark.parametrize("regex", [r"(?=a)b", r"(?<!a)b", r"(a)\1", r"(x{1,1000}){1,1000}", r"\pL{500}", "(", "a*"])
def test_expressions_without_a_bound_are_refused(regex: str) -> None:
    with pytest.raises(RegexError):
        states_of(regex)


@pytest.mark.parametrize("regex", [r"(a+)+$", r"(a|aa)+$", r"(.*a){20}b", r"(\w+\s?)*!", r"([a-z]+)*=", r"a.{0,100}b"])
def test_catastrophic_expressions_take_linear_time(regex: str) -> None:
    """A backtracking engine takes 2^n steps for these: for 30 letters already longer than this test may take."""
    compiled = compile_regex(regex)
    started = time.thread_time()
    for _ in range(5):
        compiled.search(b"a" * 20_000 + b"\0")

    assert time.thread_time() - started < 1.5


def test_an_expression_is_found_by_its_name() -> None:
    matcher = ListMatcher([], [Regex(regex=r"case-\d{4}", id="case"), Regex(regex="x+y")])

    assert matcher.names(SearchedText("see CASE-1234 and xxy")) == ["case", "regex:x+y"]
    assert [(hit.start, hit.end) for hit in matcher.hits(SearchedText("é CASE-1234"))] == [(2, 11)]


@pytest.mark.parametrize(
    ("kind", "value"),
    [
        ("email", "jane.doe+x@mail.example.co.uk"),
        ("email", "jörg@müller.example"),
        ("credit_card", "4111 1111 1111 1111"),
        ("credit_card", "5555-5555-5555-4444"),
        ("credit_card", "378282246310005"),
        ("iban", "DE89 3704 0044 0532 0130 00"),
        ("iban", "gb29nwbk60161331926819"),
        ("ssn", "078-05-1120"),
        ("phone", "+49 30 901820"),
        ("phone", "(212) 555-0187"),
        ("phone", "212-555-0187"),
        ("phone", "030 9018 2000"),
        ("aws_key", "AKIAIOSFODNN7EXAMPLE"),
        ("github_token", "ghp_" + "a1B2" * 9),
        ("jwt", "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxIn0.c2lnbmF0dXJl"),
        ("api_key", "sk-proj-" + "a1B2c3" * 6),
        ("private_key", "-----BEGIN RSA PRIVATE KEY-----\n" + "MIIE" * 20 + "\n-----END RSA PRIVATE KEY-----"),
        ("term", "project  ZEUS"),
    ],
)
def test_values_are_found_as_their_kind(kind: str, value: str) -> None:
    text = f"It is {value}, please."

    assert mask(text, EVERYTHING) == (f"It is [{kind.upper()}], please.", [kind])


@pytest.mark.parametrize(
    "text",
    [
        "4111 1111 1111 1112",  # wrong check digit
        "0000000000000000",
        "DE89 3704 0044 0532 0130 01",
        "000-12-3456",
        "666-12-3456",
        "123-00-4567",
        "2024-01-15 10:32",
        "version 1.2.3.4",
        "order 12345678",
        "a @ b",
        "@user",
        "eyJub3QiOjF9.eyJzdWIiOiIxIn0.x",  # a header without an algorithm
        "1,234,567,890",
        "192.168.100.200",
    ],
)
def test_what_only_looks_alike_stays(text: str) -> None:
    assert mask(text, EVERYTHING) == (text, [])


def test_values_in_disguise_are_found() -> None:
    assert mask("４１１１ 1111 1111 1111", EVERYTHING)[1] == ["credit_card"]
    assert mask("078\u201105\u20111120", EVERYTHING)[1] == ["ssn"]
    assert mask("jane\u200b@exam\u200bple.com", EVERYTHING) == ("[EMAIL]", ["email"])


def test_a_placeholder_is_the_same_for_the_same_value_and_comes_back() -> None:
    text = "a@b.co and c@d.co and a@b.co"
    redactor = Redactor(EVERYTHING, [text])

    assert redactor.redact(SearchedText(text)) == "{EMAIL_1} and {EMAIL_2} and {EMAIL_1}"
    assert redactor.restore("{EMAIL_2}, {EMAIL_1}, {EMAIL_3}") == "c@d.co, a@b.co, {EMAIL_3}"
    assert redactor.kinds == {"email": 2}


def test_a_value_comes_back_escaped_in_json() -> None:
    redactor = Redactor(RedactionRules(matcher=ListMatcher([], [Regex(regex='"[a-z]+"', kind="redact")])))
    redactor.redact(SearchedText('say "zeus"'))

    assert redactor.restore('{"name": "{TERM_1}"}', in_json=True) == '{"name": "\\"zeus\\""}'


PIECES = ["a@b.co", " ", "4111 1111 1111 1111", "{EMAIL_1}", "{", "}", "{X", "hello", ",", "project zeus", "é", "\n"]


@given(st.lists(st.sampled_from(PIECES), max_size=12), st.lists(st.integers(1, 9), max_size=40))
def test_redaction_is_reversible_over_any_chunks(parts: list[str], sizes: list[int]) -> None:
    text = "".join(parts)
    redactor = Redactor(EVERYTHING, [text])
    redacted = redactor.redact(SearchedText(text))
    restorer = redactor.stream()
    restored, rest = "", redacted
    for size in sizes:
        restored += restorer.feed(rest[:size])
        rest = rest[size:]
    restored += restorer.feed(rest) + restorer.finish()

    assert "a@b.co" not in redacted
    assert redactor.restore(redacted) == text
    assert restored == text


@given(st.text(max_size=80))
def test_checksums_take_any_text(text: str) -> None:
    assert is_iban(text) in {True, False}
    assert mask(text, EVERYTHING) is not None


@given(st.integers(0, 10**14 - 1))
def test_one_card_number_of_ten_has_the_check_digit(body: int) -> None:
    candidates = [f"4{body:014d}{digit}" for digit in range(10)]

    assert sum(map(is_card, candidates)) == 1
