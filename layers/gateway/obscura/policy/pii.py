"""Detectors of personal data, each with the checksum or the form that its standard defines; linear in the text.

Payment cards: ISO/IEC 7812-1, annex B (Luhn). IBAN: ISO 13616 and its registry's lengths, ISO/IEC 7064 mod 97-10.
Telephone: ITU-T E.164, and North American numbers. SSN: SSA, "Social Security Number Randomization". E-mail: RFC 5321
lengths, in the form that people write.
"""

import re
from collections.abc import Collection, Iterator
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

from obscura.policy.regexes import compile_bytes
from obscura.policy.utf8 import Offsets

# Local parts are read backwards, from the @ on.
_LOCAL = re.compile(r"[A-Za-z0-9.!#$%&'*+/=?^_`~-]+")
_DOMAIN = re.compile(r"(?:[A-Za-z0-9][A-Za-z0-9-]{0,62}\.){1,8}[A-Za-z]{2,24}")
_NON_ASCII_LOCAL = re.compile(r"[^\s@<>()\[\],;:\"\\]+")
_NON_ASCII_DOMAIN = re.compile(r"(?:[^\W_](?:[\w-]{0,61}[^\W_])?\.){1,8}[^\W\d_]{2,24}")

# Numbers that separators part stand in one run: what of it is a card or a telephone is decided by groups.
_DIGIT_RUN = r"[+(]?\d(?:[ .()/-]{0,3}\d){7,}"
_GROUP = re.compile(r"\d{3,}", re.ASCII)
_INTERNATIONAL = re.compile(r"\+\d(?:[ .()/-]{0,3}\d){7,14}", re.ASCII)
_SSN = re.compile(r"(?!000|666|9)\d{3}([- ])(?!00)\d{2}\1(?!0000)\d{4}", re.ASCII)
_IBAN_LIKE = r"[A-Za-z]{2}\d{2} ?[A-Za-z0-9]{3}"
_NUMBERS = frozenset(("credit_card", "ssn", "phone"))
_SEPARATORS = b" .()/-+"
_NORTH_AMERICAN = re.compile(r"(?:1[ .-])?(?:\([2-9]\d{2}\) ?|[2-9]\d{2}[ .-])[2-9]\d{2}[ .-]\d{4}", re.ASCII)
_NATIONAL = re.compile(
    r"(?<!\d)(?<!\d[ .()/-])(?!\d{3}[- ]\d{2}[- ]\d{4}(?!\d))\(?0\d{1,5}\)?(?:[ /-]\d{2,8}){1,5}", re.ASCII
)
_CARD_LENGTHS: dict[str, Collection[int]] = {
    **{str(prefix): (13, 16, 19) for prefix in range(40, 50)},
    **{str(prefix): (16,) for prefix in (*range(22, 28), *range(51, 56), 81, 82)},
    **{str(prefix): (15,) for prefix in (34, 37)},
    **{str(prefix): range(14, 20) for prefix in (30, 36, 38, 39)},
    **{str(prefix): range(13, 20) for prefix in (50, 56, 57, 58, 67)},
    **{str(prefix): range(16, 20) for prefix in (35, *range(60, 67), 68, 69)},
}
"""Lengths by the first two digits: Visa, Mastercard, American Express, Diners, JCB, Maestro, Discover, RuPay."""
_IBAN_START = re.compile(r"(?<![A-Za-z0-9])[A-Za-z]{2}\d{2}(?= ?[A-Za-z0-9])", re.ASCII)

IBAN_LENGTHS = dict(
    re.findall(
        r"([A-Z]{2})(\d{2})",
        "AD24AE23AL28AT20AZ28BA20BE16BG22BH22BI27BR29BY28CH21CR22CY28CZ24DE22DJ27DK18DO28EE20EG29ES24FI18FK18FO18FR27GB22"
        "GE22GI23GL18GR27GT28HN28HR21HU28IE22IL23IQ23IS26IT27JO30KW30KZ20LB28LC32LI21LT20LU20LV21LY25MC27MD24ME22MK19MN20"
        "MR27MT31MU30NI28NL18NO15OM23PK24PL28PS29PT25QA29RO24RS22RU33SA24SC31SD18SE24SI19SK24SM27SO23ST25SV28TL23TN24TR26"
        "UA29VA22VG24XK20YE30",
    )
)
"""The length of an IBAN by its country, from SWIFT's registry."""
_IBAN_RESTS = {
    country: re.compile(rf"(?: ?[A-Za-z0-9]){{{int(length) - 4}}}(?![A-Za-z0-9])")
    for country, length in IBAN_LENGTHS.items()
}
_DOUBLED = bytes.maketrans(b"0123456789", b"0246813579")
"""The digits of twice a digit, added up."""
_LETTERS_AS_NUMBERS = {ord(letter): str(ord(letter) - 55) for letter in "ABCDEFGHIJKLMNOPQRSTUVWXYZ"}


@dataclass(frozen=True, slots=True)
class Found:
    """A value of one kind, at ``text[start:end]``."""

    kind: str
    start: int
    end: int


def find_pii(text: str, encoded: bytes, kinds: Collection[str]) -> list[Found]:
    """Return what ``text``, a plain view, has of these kinds; places may overlap. ``encoded`` is its UTF-8."""
    found: list[Found] = []
    if "email" in kinds and "@" in text:
        found += _emails(text)
    if "iban" in kinds and _automaton(_IBAN_LIKE).search(encoded):
        found += _ibans(text)
    if not _NUMBERS.isdisjoint(kinds):
        offsets = Offsets(encoded)
        for run in _automaton(_DIGIT_RUN).finditer(encoded):
            start, end = offsets.character(run.start()), offsets.character(run.end())
            found += _in_digit_run(text[start:end], start, kinds)
    return found


@lru_cache(maxsize=2)
def _automaton(pattern: str) -> Any:
    """Return an automaton of RE2, which passes over a text without numbers ten times as fast as ``re``."""
    return compile_bytes(pattern)


def _emails(text: str) -> Iterator[Found]:
    at = text.find("@")
    local_pattern, domain_pattern = (_LOCAL, _DOMAIN) if text.isascii() else (_NON_ASCII_LOCAL, _NON_ASCII_DOMAIN)
    while at >= 0:
        local = local_pattern.match(text[max(0, at - 64) : at][::-1])
        domain = domain_pattern.match(text, at + 1) if local else None
        if local and domain:
            start = at - len(local[0])
            yield Found("email", start + _leading_punctuation(local[0][::-1]), domain.end())
        at = text.find("@", at + 1)


def _leading_punctuation(local: str) -> int:
    """Return how many characters before the local part belong to the sentence, such as a quote."""
    stripped = local.lstrip(".!#$%&'*+/=?^`~-{|}")
    return len(local) - len(stripped) if stripped else 0


def _ibans(text: str) -> Iterator[Found]:
    for begins in _IBAN_START.finditer(text):
        rest = _IBAN_RESTS.get(begins[0][:2].upper())
        found = rest.match(text, begins.end()) if rest else None
        if found and is_iban(begins[0] + found[0]):
            yield Found("iban", begins.start(), found.end())


def is_iban(text: str) -> bool:
    """Whether a text has an IBAN's length and check digits (mod 97-10); spaces are passed over."""
    compact = text.replace(" ", "").upper()
    if IBAN_LENGTHS.get(compact[:2]) != str(len(compact)) or not compact.isascii() or not compact.isalnum():
        return False
    return int((compact[4:] + compact[:4]).translate(_LETTERS_AS_NUMBERS)) % 97 == 1


def _in_digit_run(run: str, start: int, kinds: Collection[str]) -> Iterator[Found]:
    """A run of digits and separators is one number, or several: cards, SSNs, telephone numbers."""
    digits = _digits_in(run)
    if digits < 8:
        return
    if digits >= 9 and "ssn" in kinds:
        for found in _SSN.finditer(run):
            if _stands_alone(run, found.start(), found.end()):
                yield Found("ssn", start + found.start(), start + found.end())
    if digits >= 13 and "credit_card" in kinds:
        for first, end in _cards(run):
            yield Found("credit_card", start + first, start + end)
    if "phone" in kinds:
        for first, end in _phones(run, digits):
            yield Found("phone", start + first, start + end)


def _cards(run: str) -> Iterator[tuple[int, int]]:
    """Yield where groups of digits, apart by one space or hyphen, are a card's number together."""
    groups = [group.span() for group in _GROUP.finditer(run)]
    position = 0
    while position < len(groups):
        start, end = groups[position]
        digits, last = run[start:end], position
        position += 1
        lengths = _CARD_LENGTHS.get(digits[:2], ())
        if not lengths:
            continue
        while len(digits) not in lengths or not is_card(digits):
            last += 1
            if last == len(groups) or len(digits) >= 19 or run[end : groups[last][0]] not in {" ", "-"}:
                break
            end = groups[last][1]
            digits += run[groups[last][0] : end]
        else:
            yield start, end
            position = last + 1


def _phones(run: str, digits: int) -> Iterator[tuple[int, int]]:
    if run[0] == "+" and (found := _INTERNATIONAL.match(run)):
        yield found.span()
        return
    for pattern, possible in ((_NORTH_AMERICAN, digits >= 10), (_NATIONAL, "0" in run)):
        for found in pattern.finditer(run) if possible else ():
            count = _digits_in(found[0])
            if 8 <= count <= 15 and _stands_alone(run, found.start(), found.end()):
                yield found.span()


def _stands_alone(run: str, start: int, end: int) -> bool:
    return not (start and run[start - 1].isdigit()) and not run[end : end + 1].isdigit()


def is_card(digits: str) -> bool:
    """Whether digits are a payment card's number: an issuer's prefix and length, and Luhn's check digit."""
    if len(digits) not in _CARD_LENGTHS.get(digits[:2], ()):
        return False
    encoded = digits.encode()
    return (sum(encoded[-1::-2]) + sum(encoded[-2::-2].translate(_DOUBLED)) - 48 * len(encoded)) % 10 == 0


def _digits_in(run: str) -> int:
    """Return how many digits a run of ASCII digits and separators has."""
    return len(run.encode().translate(None, _SEPARATORS))
