"""Regular expressions by RE2, whose time is linear in the text: none can hold a worker (ADR 91).

A backtracking engine takes exponential time for ``(a+)+$``; RE2 has neither lookaround nor back-references, and refuses
repetitions above 1,000 (github.com/google/re2, "Syntax"). Its time is bounded by instructions x bytes, and so both are.
"""

from functools import lru_cache
from typing import Any

MAX_PROGRAM_SIZE = 2_000
"""Instructions of one expression over UTF-8: ``\\pL+`` has 1,201, ``(a+)+$`` 6."""
MAX_STATES = 250
"""Instructions over single bytes: what a hostile text can keep alive at once. ``x{1,100}`` has 102."""
MAX_STATES_IN_ALL = 2_000
"""States of all expressions of a document."""
MAX_MEMORY_BYTES = 16 * 1024 * 1024
_TRIAL_MEMORY_BYTES = 512 * 1024
"""What compiling may take at first: 2,000 instructions fit; what does not is refused in milliseconds, not seconds."""


class RegexError(ValueError):
    """An expression that is not accepted; the message follows the field's path in a sentence."""


@lru_cache(maxsize=1)
def _re2() -> Any:
    # Imported where a policy has expressions or terms: 20 ms that no other request pays (ADR 53).
    import re2

    return re2


def compile_bytes(
    pattern: str, *, captures: bool = False, max_memory_bytes: int = MAX_MEMORY_BYTES, single_bytes: bool = False
) -> Any:
    """Compile a pattern that searches UTF-8, or ``single_bytes``; raises RegexError."""
    re2 = _re2()
    options = re2.Options()
    if single_bytes:
        options.encoding = re2.Options.Encoding.LATIN1
    options.log_errors = False
    options.never_capture = not captures
    options.max_mem = max_memory_bytes
    try:
        return re2.compile(pattern.encode(), options)
    except (re2.error, UnicodeEncodeError) as error:
        raise RegexError(_explained(error)) from None


@lru_cache(maxsize=1_000)
def states_of(regex: str) -> int:
    """Return the states of an expression of a document; raises RegexError for one that is none or too large."""
    states: int = compile_bytes(regex, max_memory_bytes=_TRIAL_MEMORY_BYTES, single_bytes=True).programsize
    if states > MAX_STATES:
        raise RegexError(
            f"has {states:,} states; {MAX_STATES:,} are allowed, so that no text takes long. Shorten its repetitions, "
            "such as x{1,200}, or leave them open: x+."
        )
    size = compile_regex(regex).programsize
    if size > MAX_PROGRAM_SIZE:
        raise RegexError(f"has {size:,} instructions; {MAX_PROGRAM_SIZE:,} are allowed. Use fewer classes like \\pL.")
    if compile_regex(regex).search(b"") is not None:
        raise RegexError("matches an empty text, and so every text. Let it match at least one character.")
    return states


@lru_cache(maxsize=1_000)
def compile_regex(regex: str) -> Any:
    """Compile an expression of a document, case-insensitive; raises RegexError."""
    compile_bytes(f"(?i){regex}", max_memory_bytes=_TRIAL_MEMORY_BYTES)
    return compile_bytes(f"(?i){regex}")


def _explained(error: Exception) -> str:
    reason = error.args[0].decode(errors="replace") if error.args and isinstance(error.args[0], bytes) else "not UTF-8"
    hint = ""
    if "invalid perl operator" in reason:
        hint = " Lookahead and lookbehind are not available: their time is not bounded."
    elif "invalid escape sequence" in reason:
        hint = " Back-references are not available: their time is not bounded."
    elif "repetition" in reason or "too large" in reason:
        hint = " Repetitions go up to 1,000."
    return f"is not a regular expression that RE2 takes: {reason}.{hint}"
