"""The attacks by name, and what is different about a gateway under each of them."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from benchmarks.attack_load.attackers import ATTACKS

ALONE = "alone"


@dataclass(frozen=True, slots=True)
class Scenario:
    """An attack: how many connections, which kinds take turns on them, and settings that it needs."""

    name: str
    title: str
    attackers: int
    kinds: tuple[str, ...]
    settings: Mapping[str, str] = field(default_factory=dict)


_BEHIND_A_PROXY = {"OBSCURA_TRUSTED_PROXIES": "127.0.0.0/8"}

SCENARIOS = {
    scenario.name: scenario
    for scenario in (
        Scenario(ALONE, "no attack", 0, ()),
        Scenario("webps", "22 KB of fifteen 25-Mpx WEBPs and a broken image", 50, ("webps",)),
        Scenario("count-tokens", "the same to count_tokens without a key", 50, ("count-tokens",)),
        Scenario("stalled-bodies", "bodies of 30 MB that never end", 60, ("stalled-bodies",)),
        Scenario("slow-heads", "heads that never end", 200, ("slow-heads",)),
        Scenario("small-turns", "3.3 MB of one-letter messages", 8, ("small-turns",)),
        Scenario("json", "deep JSON and 390,000 values", 16, ("json",)),
        Scenario("fetches", "fifteen image URLs and a broken image", 50, ("fetches",)),
        Scenario("leavers", "leave a stream at its first bytes", 50, ("leavers",)),
        Scenario("bombs", "three 64-Mpx PNGs of one byte, with a key", 20, ("bombs",)),
        Scenario("uploads", "files of 4 MB, with a key", 8, ("uploads",)),
        Scenario("pdfs", "PDFs of sixteen dense pages, with a key", 8, ("pdfs",)),
        Scenario("trailers", "X-Forwarded-For as a trailer", 20, ("trailers",), _BEHIND_A_PROXY),
        Scenario("mixed", "all of the above in turns", 200, tuple(ATTACKS)),
    )
}
