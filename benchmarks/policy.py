"""What a policy costs: 1,000 terms, 20 expressions, all PII and secrets on 4 kB of text, and what hostile text costs.

``python -m benchmarks.policy [--times N]``: each text is another one, so that no automaton has seen it; the CPU of this
thread, which a busy machine does not stretch. The aim is a 99th percentile of 1 ms. Then the same text twice and four
times as long (linear means twice and four times the time), expressions that are exponential elsewhere, and one frame of
a stream. It exits with status 1 if the aim is missed.
"""

import argparse
import random
import string
import sys
import time
from collections.abc import Callable, Iterator
from statistics import median, quantiles

from obscura.policy.engine import CompiledPolicy
from obscura.policy.facts import ModerationResult, RequestFacts, Scores
from obscura.policy.parse import parse_document
from obscura.policy.render import Shown, splice_events
from obscura.policy.rollout import Held, Mode, Plan, outcome

AIM_MS = 1.0
TEXT_CHARS = 4_096
EXPRESSIONS = (
    r"project\s+\w+\s+codename",
    r"\b[A-Z]{2}-\d{4,6}\b",
    r"internal[- ]only",
    r"(confidential|restricted)\s+(draft|memo)",
    r"ticket #\d{3,8}",
)
CATASTROPHIC = (r"(a+)+$", r"(a|aa)+$", r"(\w+\s?)*!", r"(.*a){20}b", r"a.{0,40}b.{0,40}c", r"[ab]*a[ab]{100}c")
MODERATION = ModerationResult((Scores("text", scores={"violence": 0.01}),))


def main() -> int:
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    arguments.add_argument("--times", type=int, default=2_000, help="evaluations of each kind")
    times = arguments.parse_args().times
    chance = random.Random(1)
    words = ["".join(chance.choices(string.ascii_lowercase, k=chance.randint(2, 10))) for _ in range(20_000)]
    document = parse_document(a_document(chance, words))
    policy, compile_ms = timed(lambda: CompiledPolicy(document))
    print(f"1,000 terms and 20 expressions compiled in {compile_ms:.1f} ms")
    for _ in decisions(policy, [dense(chance, words) for _ in range(50)]):
        pass  # the automata build their states as texts come
    print(f"{'text':>44} {'p50, ms':>9} {'p99, ms':>9}")
    p99_ms = show("4 kB of prose", decisions(policy, [prose(chance, words, TEXT_CHARS) for _ in range(times)]))
    show("4 kB, every 20th word a hit or a value", decisions(policy, [dense(chance, words) for _ in range(times // 4)]))
    accents = [prose(chance, words, TEXT_CHARS).replace("e", "é") for _ in range(times // 4)]
    show("4 kB, no ASCII", decisions(policy, accents))
    for factor in (2, 4, 16):
        texts = [prose(chance, words, factor * TEXT_CHARS) for _ in range(max(20, times // 20))]
        show(f"{factor * 4} kB of prose", decisions(policy, texts))
    for text in ("1 " * 2_048, "444 " * 1_024, "a@" * 2_048, "DE12 " * 819, "eyJa." * 819):
        show(f"4 kB of {text[:5]!r}", decisions(policy, [text] * max(20, times // 20)))
    for expression in CATASTROPHIC:
        hostile = CompiledPolicy(parse_document({"policy_id": "p", "rules": {"regexes": [{"regex": expression}]}}))
        texts = ["".join(chance.choices("ab", k=TEXT_CHARS)) for _ in range(20)]
        show(f"4 kB of a and b by {expression}", decisions(hostile, texts))
    show_frame(policy, times)
    return 0 if p99_ms <= AIM_MS else 1


def a_document(chance: random.Random, words: list[str]) -> dict[str, object]:
    terms = {" ".join(chance.choices(words, k=chance.choice((1, 1, 1, 2, 3)))) + "q" for _ in range(1_200)}
    rules = {
        "denylist": sorted(terms)[:1_000],
        "regexes": [{"regex": EXPRESSIONS[number % 5], "id": f"r{number}"} for number in range(20)],
        "redact_pii": True,
        "redact_secrets": True,
        "flagged_categories": ["violence"],
    }
    return {"policy_id": "p", "rules": rules}


def prose(chance: random.Random, words: list[str], chars: int) -> str:
    text = ". ".join(" ".join(chance.choices(words, k=12)) for _ in range(chars // 70))
    return f"On 2024-01-15 at 10:32, order 1042: {text}"[:chars]


def dense(chance: random.Random, words: list[str]) -> str:
    values = ("ann@example.com", "4111 1111 1111 1111", "+49 30 901820", "internal only", "DE89 3704 0044 0532 0130 00")
    text = " ".join(chance.choice(values) if number % 20 == 0 else chance.choice(words) for number in range(700))
    return text[:TEXT_CHARS]


def decisions(policy: CompiledPolicy, texts: list[str]) -> Iterator[float]:
    """Yield the milliseconds of each decision."""
    for text in texts:
        yield timed(lambda text=text: policy.evaluate(RequestFacts((text,)), MODERATION))[1]  # type: ignore[misc]


def timed[Result](work: Callable[[], Result]) -> tuple[Result, float]:
    started = time.thread_time()
    result = work()
    return result, (time.thread_time() - started) * 1_000


def show(what: str, each_ms: Iterator[float]) -> float:
    """Print the median and the 99th percentile, and return the latter."""
    measured = list(each_ms)
    p99_ms = quantiles(measured, n=100)[98]
    print(f"{what:>44} {median(measured):>9.3f} {p99_ms:>9.3f}")
    return p99_ms


def show_frame(policy: CompiledPolicy, times: int) -> None:
    decided = policy.evaluate(RequestFacts(("hello",)), MODERATION)
    shown = Shown(outcome(Plan(Mode.ENFORCED, Held.LIVE), decided, decided), "p", 1).json()
    frame = (
        b'data: {"id":"c1","object":"chat.completion.chunk","choices":[{"index":0,"delta":{"content":"word "}}]}\n\n'
    )
    show("policy spliced into a frame", (timed(lambda: splice_events(frame, shown))[1] for _ in range(times)))
    scanner = policy.output_scanner()
    show("a frame's 5 characters scanned", (timed(lambda: scanner.feed("word "))[1] for _ in range(times)))


if __name__ == "__main__":
    sys.exit(main())
