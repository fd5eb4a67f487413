"""The judge: what an upstream got, against what moderation saw. Its rules are issue 10's, not the parsers'."""

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from tests.security.shapes.gateway_in_process import Seen
from tests.security.shapes.leaves import Leaf, Role, leaves
from tests.security.shapes.media import from_base64, is_url, kind_of, media_in, media_in_numbers
from tests.security.shapes.plants import FILE_ID, PHRASE, WORD
from tests.security.shapes.readings import Unreadable, nested_json, readings, strings_of

MAX_UNKNOWN_RUN_CHARS = 4096
_TOKEN = re.compile(r"[A-Za-z0-9_.:/@+-]{0,64}")
_LONG_RUN = re.compile(rf"\S{{{MAX_UNKNOWN_RUN_CHARS + 1},}}")
_TELLING_RUN = re.compile(r"\S{48,}|\S*://\S*|//\S+")
"""Runs that no translation of the gateway's own makes: they must have been moderated wherever they are text."""
WINDOW_CHARS = 400


@dataclass(frozen=True, slots=True)
class Finding:
    """Something that reached the upstream unseen; ``what`` is the mechanism, ``path`` the place in the upstream's body.

    ``tolerated`` findings are what issue 10 lets pass: encodings other than base64 of at most 4,096 characters.
    """

    what: str
    path: str
    tolerated: bool = False


def inspect(
    bodies: Iterable[bytes], dialect: str, seen: Seen, unmoderated: frozenset[str] = frozenset()
) -> list[Finding]:
    """Return all findings in the bodies that an upstream got for one request."""
    findings: dict[Finding, None] = {}
    for body in bodies:
        try:
            documents = readings(body)
        except Unreadable:
            return [Finding("unreadable body", "")]
        if body.startswith((b"\xef\xbb\xbf", b"\xff\xfe", b"\xfe\xff")):
            findings[Finding("byte order mark", "")] = None
        if any(_lone_surrogate(text) for document in documents for text in strings_of(document)):
            findings[Finding("lone surrogate", "")] = None
        if len(documents) > 1:
            ways = [list(leaves(document, dialect)) for document in documents]
            for index, found in enumerate(ways):
                judged = (finding for leaf in found for finding in _judge(leaf, seen, unmoderated))
                for finding in judged:
                    reading = (
                        finding
                        if not index
                        else Finding(f"{finding.what} (other reading)", finding.path, finding.tolerated)
                    )
                    if finding not in findings:
                        findings[reading] = None
            continue
        for leaf in leaves(documents[0], dialect):
            findings |= dict.fromkeys(_judge(leaf, seen, unmoderated))
    return list(findings)


def _judge(leaf: Leaf, seen: Seen, unmoderated: frozenset[str]) -> Iterator[Finding]:
    match leaf.role:
        case Role.UNKNOWN_TYPE:
            yield Finding(f"unknown type {leaf.value[:20]!r}", leaf.path)
        case Role.IMAGE:
            yield from _judge_image(leaf, seen)
        case Role.CLIP:
            yield from _judge_clip(leaf, seen, unmoderated)
        case Role.OPAQUE:
            data = from_base64(leaf.value)
            if (data and kind_of(data)) or any(media_in(leaf.value)) or is_url(leaf.value):
                yield Finding("media in an opaque value", leaf.path)
        case Role.TEXT:
            yield from _judge_text(leaf, seen)
        case Role.SCHEMA:
            yield from _judge_text(leaf, seen)
            if leaf.value.lstrip().lower().startswith("data:"):
                yield from _media(leaf, seen)
        case Role.TOKEN:
            if not _TOKEN.fullmatch(leaf.value):
                yield from _judge_text(leaf, seen)
            yield from _media(leaf, seen)
            yield from _address(leaf)
        case Role.UNKNOWN:
            yield from _judge_unknown(leaf, seen)


def _judge_unknown(leaf: Leaf, seen: Seen) -> Iterator[Finding]:
    if isinstance(leaf.value, list):
        spelled = media_in_numbers(leaf.value)
        long = len(str(leaf.value)) > MAX_UNKNOWN_RUN_CHARS
        if spelled or long:
            yield Finding(f"numbers: {spelled.kind if spelled else 'a long list'}", leaf.path, tolerated=not long)
        return
    media = media_in(leaf.value)
    if media and all(found.data in seen.images for found in media):
        return  # a prepared image, as chat's ``"image_url": "data:…"``
    yield from _judge_text(leaf, seen)
    yield from _media(leaf, seen)
    yield from _address(leaf)
    if _LONG_RUN.search(leaf.value):
        yield Finding("a long run in an unknown field", leaf.path)
    if (document := nested_json(leaf.value)) is not None:
        for text in strings_of(document):
            yield from _address(Leaf(leaf.path, text, leaf.role))


def _judge_text(leaf: Leaf, seen: Seen) -> Iterator[Finding]:
    if not isinstance(leaf.value, str):
        return
    decoded = strings_of(nested_json(leaf.value)) if leaf.path.endswith(".arguments") else []  # as chat templates do
    for text in (leaf.value, *decoded):
        if PHRASE in text and not _was_moderated(text, PHRASE, seen):
            yield Finding("text", leaf.path)
        elif WORD in text.replace(PHRASE, "") and not _was_moderated(text, WORD, seen):
            yield Finding("a word", leaf.path)
    # Arguments may be moderated as they stand, or string by string.
    if not _runs_moderated([leaf.value], seen) and not (decoded and _runs_moderated(decoded, seen)):
        yield Finding("text: a run of characters", leaf.path)


def _runs_moderated(texts: Iterable[str], seen: Seen) -> bool:
    return all(_whole(run[0], seen) for text in texts for run in _TELLING_RUN.finditer(text))


def _was_moderated(text: str, marker: str, seen: Seen) -> bool:
    return any(marker in moderated for moderated in seen.texts) and text.count(marker) <= sum(
        moderated.count(marker) for moderated in seen.texts
    )


def _whole(run: str, seen: Seen) -> bool:
    """Whether all of a run was moderated: in one text, or in texts that overlap."""
    if any(run in moderated for moderated in seen.texts):
        return True
    if len(run) <= WINDOW_CHARS:
        return False
    starts = [*range(0, len(run) - WINDOW_CHARS, WINDOW_CHARS // 2), len(run) - WINDOW_CHARS]
    return all(any(run[at : at + WINDOW_CHARS] in moderated for moderated in seen.texts) for at in starts)


def _media(leaf: Leaf, seen: Seen) -> Iterator[Finding]:
    for media in media_in(leaf.value):
        if media.data not in seen.images:
            short = media.how in {"hex", "percent"} and len(leaf.value) <= MAX_UNKNOWN_RUN_CHARS
            yield Finding(f"{media.kind} as {media.how} in {leaf.role.value}", leaf.path, tolerated=short)


def _address(leaf: Leaf) -> Iterator[Finding]:
    if is_url(leaf.value) and not leaf.value.lstrip().lower().startswith("data:"):
        yield Finding(f"URL in {leaf.role.value}", leaf.path)
    elif leaf.value == FILE_ID and leaf.role is Role.UNKNOWN:
        yield Finding("file id in unknown", leaf.path, tolerated=True)


def _judge_image(leaf: Leaf, seen: Seen) -> Iterator[Finding]:
    """A known media field holds a prepared image, and nothing else that could be loaded."""
    found = media_in(leaf.value)
    if any(media.data not in seen.images for media in found):
        yield Finding("image in its own field", leaf.path)
    elif not found and leaf.path.endswith(("file_id", "file_ids[]")):
        yield Finding("file id in its own field", leaf.path)
    elif not found and is_url(leaf.value):
        yield Finding("URL in its own field", leaf.path)
    elif not found and leaf.path.endswith("file_data") and leaf.value:
        yield Finding("file data", leaf.path)
    if not found:
        yield from _judge_text(leaf, seen)


def _judge_clip(leaf: Leaf, seen: Seen, unmoderated: frozenset[str]) -> Iterator[Finding]:
    """Sound and video ride along if the answer says so; an image or a document in their place does not."""
    kinds = {media.kind for media in media_in(leaf.value) if media.data not in seen.images}
    if kinds & {"image", "document"} and "video" not in kinds and "audio" not in kinds:
        yield Finding(f"{min(kinds)} as {leaf.clip}", leaf.path)
    elif is_url(leaf.value) and not kinds:
        yield Finding("URL in its own field", leaf.path)
    elif leaf.clip not in unmoderated:
        yield Finding(f"{leaf.clip} that x-unmoderated does not name", leaf.path)


def _lone_surrogate(text: str) -> bool:
    return any(0xD800 <= ord(character) <= 0xDFFF for character in text) if not text.isascii() else False
