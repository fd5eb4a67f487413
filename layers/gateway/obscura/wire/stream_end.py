"""Where a stream of events ends by its own word, whatever the connection does then."""

import re
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class StreamEnd:
    """How a dialect's stream tells, in one of its lines, that it is over.

    last      nothing that matters follows
    enough    the answer is whole, or has failed in so many words: a stream that closes behind it did not break off
    marks     one of these stands in every line that matches either, and is quicker to look for
    """

    last: re.Pattern[bytes]
    enough: re.Pattern[bytes]
    marks: tuple[bytes, ...]


class EndWatch:
    """Watches a stream's whole lines for its end. In a string of the model's, the quotes would be escaped."""

    def __init__(self, end: StreamEnd) -> None:
        """Start before the first line."""
        self._end = end
        self.ended = self.whole = False

    def see(self, lines: bytes) -> None:
        """Take note of some lines."""
        for mark in self._end.marks:
            if mark in lines:
                break
        else:
            return
        self.ended = self.ended or self._end.last.search(lines) is not None
        self.whole = self.whole or self.ended or self._end.enough.search(lines) is not None
