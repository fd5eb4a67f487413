"""How many pixels a decoder holds for an AV1 bitstream, from its headers (AV1 bitstream specification §5)."""

from dataclasses import dataclass

from obscura.imaging.errors import corrupt

_MAX_UNITS = 1024
"""Open bitstream units of one image; an encoder writes three or four, and one for each group of tiles."""
_MAX_HEADER_BYTES = 256
_SEQUENCE_HEADER, _FRAME_HEADER, _FRAME = 1, 3, 6
_KEY_FRAME, _SWITCH_FRAME = 0, 3
_SELECT = 2  # SELECT_SCREEN_CONTENT_TOOLS and SELECT_INTEGER_MV: each frame header decides


def coded_pixels(stream: memoryview) -> int:
    """Return the pixels of all frames of a bitstream: a decoder may keep every one of them while it decodes the last.

    Raises:
        ImageError: ``invalid_image``: malformed, cut, or built of too many units.

    """
    sequence: _Sequence | None = None
    pixels = position = 0
    for _ in range(_MAX_UNITS):
        if position >= len(stream):
            return pixels
        kind, start, end = _unit(stream, position)
        header = _Bits(bytes(stream[start : min(end, start + _MAX_HEADER_BYTES)]))
        if kind == _SEQUENCE_HEADER:
            sequence = _sequence(header)
        elif kind in {_FRAME_HEADER, _FRAME}:
            if sequence is None:
                raise _malformed()
            pixels += _frame_pixels(header, sequence)
        position = end
    raise _malformed()


def _malformed() -> Exception:
    return corrupt("AVIF", "has a malformed AV1 bitstream")


class _Bits:
    def __init__(self, data: bytes) -> None:
        self._value, self._left = int.from_bytes(data), 8 * len(data)

    def take(self, count: int) -> int:
        self._left -= count
        if self._left < 0:
            raise _malformed()
        return self._value >> self._left & ((1 << count) - 1)

    def flag(self) -> bool:
        return self.take(1) == 1

    def skip_uvlc(self) -> None:
        """Skip a variable-length integer (§4.10.3)."""
        zeros = 0
        while not self.flag():
            zeros += 1
        self.take(min(zeros, 32))


@dataclass(slots=True)
class _Sequence:
    """What of a sequence header (§5.5) the size of a frame depends on."""

    reduced: bool = False
    presentation_time_bits: int = 0
    width_bits: int = 0
    height_bits: int = 0
    max_width_px: int = 0
    max_height_px: int = 0
    frame_id_bits: int = 0
    screen_content_tools: int = _SELECT
    integer_mv: int = _SELECT


def _unit(stream: memoryview, position: int) -> tuple[int, int, int]:
    """Return the type of the unit at ``position``, and where its payload starts and ends (§5.3)."""
    header = stream[position]
    start = position + (2 if header & 0x04 else 1)
    size = len(stream) - start
    if header & 0x02:
        size = shift = 0
        while True:
            if start >= len(stream) or shift > 28:
                raise _malformed()
            size |= (stream[start] & 0x7F) << shift
            shift += 7
            start += 1
            if not stream[start - 1] & 0x80:
                break
    if header & 0x80 or size < 0 or start + size > len(stream):
        raise _malformed()
    return header >> 3 & 0x0F, start, start + size


def _sequence(bits: _Bits) -> _Sequence:
    sequence = _Sequence()
    bits.take(4)  # profile, still_image
    sequence.reduced = bits.flag()
    if sequence.reduced:
        bits.take(5)  # level
    else:
        _read_operating_points(bits, sequence)
    sequence.width_bits, sequence.height_bits = bits.take(4) + 1, bits.take(4) + 1
    sequence.max_width_px = bits.take(sequence.width_bits) + 1
    sequence.max_height_px = bits.take(sequence.height_bits) + 1
    if not sequence.reduced:
        if bits.flag():  # frame ids
            delta_bits = bits.take(4) + 2
            sequence.frame_id_bits = delta_bits + bits.take(3) + 1
        bits.take(3 + 4)  # block size and intra tools; inter tools
        if bits.flag():  # order hints
            bits.take(2)
        sequence.screen_content_tools = _SELECT if bits.flag() else bits.take(1)
        if sequence.screen_content_tools:
            sequence.integer_mv = _SELECT if bits.flag() else bits.take(1)
    return sequence


def _read_operating_points(bits: _Bits, sequence: _Sequence) -> None:
    has_decoder_model, buffer_delay_bits = False, 0
    if bits.flag():  # timing info
        bits.take(64)
        equal_intervals = bits.flag()
        if equal_intervals:
            bits.skip_uvlc()
        has_decoder_model = bits.flag()
        if has_decoder_model:
            buffer_delay_bits = bits.take(5) + 1
            bits.take(32 + 5)
            presentation_time_bits = bits.take(5) + 1
            sequence.presentation_time_bits = 0 if equal_intervals else presentation_time_bits
    has_display_delay = bits.flag()
    for _ in range(bits.take(5) + 1):
        bits.take(12)  # layers
        if bits.take(5) > 7:  # level
            bits.take(1)  # tier
        if has_decoder_model and bits.flag():
            bits.take(2 * buffer_delay_bits + 1)
        if has_display_delay and bits.flag():
            bits.take(4)


def _frame_pixels(bits: _Bits, sequence: _Sequence) -> int:
    """Return the pixels of one frame (§5.9): the sequence's, or the most that its own size could say."""
    largest = sequence.max_width_px * sequence.max_height_px
    if sequence.reduced:
        return largest
    if bits.flag():  # shows a frame that is there already
        return 0
    frame_type, is_shown = bits.take(2), bits.flag()
    bits.take(sequence.presentation_time_bits if is_shown else 1)
    if not (frame_type == _SWITCH_FRAME or (frame_type == _KEY_FRAME and is_shown)):
        bits.take(1)  # error resilience
    bits.take(1)  # CDF update
    screen_content_tools = sequence.screen_content_tools
    if screen_content_tools == _SELECT:
        screen_content_tools = bits.take(1)
    if screen_content_tools and sequence.integer_mv == _SELECT:
        bits.take(1)
    bits.take(sequence.frame_id_bits)
    if frame_type == _SWITCH_FRAME or bits.flag():
        return 1 << sequence.width_bits + sequence.height_bits
    return largest
