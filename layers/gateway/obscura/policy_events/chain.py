"""The hash chain: each event holds the SHA-256 of the JSON of the one before it in its process.

What was altered, or taken out between two others, shows (``verify``). What was cut off at the end does not, nor a chain
that was written again from its beginning: for that, hold copies in two sinks against each other.
"""

import hashlib
import secrets
from collections import defaultdict
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from itertools import pairwise

import msgspec
from msgspec import UNSET, Raw, UnsetType

from obscura.policy.events import DecisionEvent
from obscura.policy_events.base import ChainedEvent

MAX_LINE_BYTES = 200_000
"""CloudWatch cuts a log line at 256 kB, Splunk and Datadog near 1 MB."""

MAX_LISTED_HITS = 20
MAX_NAME_CHARS = 200


class EventChain:
    """The chain of one process, under a random id; not for several threads."""

    def __init__(self) -> None:
        self.chain_id = secrets.token_hex(8)
        self._sequence = 0
        self._previous: str | None = None

    def add(self, event: DecisionEvent) -> ChainedEvent:
        """Encode an event with its link: ``"chain": {"id", "sequence", "previous_sha256"}`` as its last member.

        One over ``MAX_LINE_BYTES`` is ``shortened``: a request of very many texts must not go unrecorded.

        Raises ValueError, and takes no number, if ``created_at`` is no instant (RFC 3339) or a text is no Unicode.
        """
        created_at = datetime.fromisoformat(event.created_at)
        created_at_s = (created_at if created_at.tzinfo else created_at.replace(tzinfo=UTC)).timestamp()
        encoded = msgspec.json.encode(event)
        if len(encoded) > MAX_LINE_BYTES:
            encoded = shortened(event)
        self._sequence += 1
        previous = b'"%b"' % self._previous.encode() if self._previous else b"null"
        line = b'%b,"chain":{"id":"%b","sequence":%d,"previous_sha256":%b}}' % (
            encoded[:-1],
            self.chain_id.encode(),
            self._sequence,
            previous,
        )
        self._previous = sha256(line)
        # The line has the features; kept as objects too they would take several times the buffer's bound.
        bare = msgspec.structs.replace(event, features=UNSET)
        return ChainedEvent(bare, line, self._sequence, created_at_s)


def shortened(event: DecisionEvent) -> bytes:
    """Return the JSON of an event without features, with the first hits alone, and ``"shortened": true`` at its end."""
    short = msgspec.structs.replace(
        event,
        features=UNSET,
        allowlist_hits=event.allowlist_hits[:MAX_LISTED_HITS],
        denylist_hits=event.denylist_hits[:MAX_LISTED_HITS],
        user_id=_cut(event.user_id),
        policy_user=_cut(event.policy_user),
        quota_subject=_cut(event.quota_subject),
        policy_target=_cut(event.policy_target),
        model=event.model[:MAX_NAME_CHARS],
    )
    return b'%b,"shortened":true}' % msgspec.json.encode(short)[:-1]


def _cut(name: str | None) -> str | None:
    return name if name is None else name[:MAX_NAME_CHARS]


def sha256(line: bytes) -> str:
    """Return the digest by which an event is named in the next one."""
    return hashlib.sha256(line).hexdigest()


class _Link(msgspec.Struct):
    id: str
    sequence: int
    previous_sha256: str | None


class _Event(msgspec.Struct):
    event_id: str
    chain: _Link


class _Line(msgspec.Struct):
    chain: Raw | UnsetType = UNSET
    event: Raw | UnsetType = UNSET
    data: Raw | UnsetType = UNSET


_lines = msgspec.json.Decoder(_Line)
_events = msgspec.json.Decoder(_Event)


def recorded_event(line: bytes) -> bytes | None:
    """Return the JSON of the event in a line, byte for byte, or None if the line has none.

    A line is an event itself, a log line or Splunk's envelope (``event``), or the body of a webhook (``data``).
    """
    try:
        outer = _lines.decode(line)
        if not isinstance(outer.chain, UnsetType):
            inner: bytes = line.strip()
        else:
            nested = outer.data if isinstance(outer.event, UnsetType) else outer.event
            if isinstance(nested, UnsetType):
                return None
            inner = bytes(nested)
        _events.decode(inner)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return None
    return inner


@dataclass(frozen=True, slots=True)
class ChainReport:
    """What a file holds of one process's chain: its events from ``first`` to ``last``.

    missing    numbers between the two that are not there, as ranges
    altered    numbers of events that do not fit their neighbours: the SHA-256 that the next event has of them differs,
               or there are two of the same number
    """

    chain_id: str
    events: int
    first: int
    last: int
    missing: tuple[tuple[int, int], ...] = ()
    altered: tuple[int, ...] = ()

    @property
    def intact(self) -> bool:
        """Whether nothing between the first and the last event is missing or altered."""
        return not (self.missing or self.altered)


def verify(events: Iterable[bytes]) -> list[ChainReport]:
    """Verify events of any number of processes, in any order and with repetitions; each as ``recorded_event`` has it.

    The last event of a chain has no successor that would prove it.
    """
    chains: dict[str, dict[int, set[bytes]]] = defaultdict(lambda: defaultdict(set))
    for line in events:
        link = _events.decode(line).chain
        chains[link.id][link.sequence].add(line)
    return [_report(chain_id, lines) for chain_id, lines in chains.items()]


def _report(chain_id: str, lines: dict[int, set[bytes]]) -> ChainReport:
    numbers = sorted(lines)
    altered = {number for number in numbers if len(lines[number]) > 1}
    for number in numbers:
        for line in lines[number]:
            previous = _events.decode(line).chain.previous_sha256
            if number == 1:
                altered.update({1} if previous is not None else ())
            elif number - 1 in lines and previous not in {sha256(before) for before in lines[number - 1]}:
                altered.add(number - 1)
    missing = tuple(_gaps(numbers))
    return ChainReport(chain_id, len(numbers), numbers[0], numbers[-1], missing, tuple(sorted(altered)))


def _gaps(numbers: list[int]) -> Iterator[tuple[int, int]]:
    for before, after in pairwise(numbers):
        if after - before > 1:
            yield before + 1, after - 1
