"""Where a JSON text that comes in pieces is complete."""

import re

_OUTSIDE = re.compile(r'["\[\]{}]')
_INSIDE = re.compile(r'["\\]')


class JsonEnd:
    """Follows an object's or an array's text piece by piece; any other text is never complete."""

    def __init__(self) -> None:
        """Start before the first character."""
        self._depth = 0
        self._in_string = self._escaped = False
        self.complete = False

    def feed(self, piece: str) -> None:
        """Take the next piece."""
        position = 0
        while position < len(piece):
            if self._escaped:
                self._escaped = False
                position += 1
                continue
            found = (_INSIDE if self._in_string else _OUTSIDE).search(piece, position)
            if found is None:
                return
            self._take(found[0])
            position = found.end()

    def _take(self, character: str) -> None:
        match character:
            case "\\":
                self._escaped = True
            case '"':
                self._in_string = not self._in_string
            case "[" | "{":
                self._depth += 1
            case _:
                self._depth -= 1
                self.complete = self.complete or self._depth == 0
