"""The request shapes: every carrier in every place, spellings of keys, nesting, and extensions that no schema has."""

import hashlib
import heapq
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any

from tests.security.shapes.carriers import Carrier, carriers, chosen
from tests.security.shapes.json_writer import Members, Raw, write
from tests.security.shapes.places import Place, minimal_request, places
from tests.security.shapes.special import special_bodies


@dataclass(frozen=True, slots=True)
class Shape:
    """One request: how it was made; its bytes are written when they are read."""

    dialect: str
    place: str
    carrier: str
    spelling: str
    group: str
    request: Any

    @property
    def body(self) -> bytes:
        """The bytes of the request."""
        return self.request if isinstance(self.request, bytes) else write(self.request).encode()

    @property
    def id(self) -> str:
        """A name that is the same in each run."""
        return f"{self.dialect}|{self.place}|{self.carrier}|{self.spelling}"


EXTENSIONS = (
    "extra_body", "chat_template_kwargs", "mm_processor_kwargs", "documents", "reasoning_details", "image", "images",
    "image_url", "input_image", "video_url", "file", "file_data", "attachments", "source", "data", "media", "content",
    "tool_resources", "multi_modal_data", "url", "Content", "audio",
)  # fmt: skip


def shapes(dialect: str) -> Iterator[Shape]:
    """Yield all shapes of a dialect, place by place.

    A field of an object that stands in many places has all its shapes in the first, and some carriers in the others.
    """
    seen: set[str] = set()
    for place in places(dialect):
        field = place.path[place.path.rfind("<") :]
        if field not in seen:
            yield from shapes_at(place)
        else:
            for carrier in chosen("png_data_url", "base64", "https_url", "phrase", "chat_parts", "responses_parts"):
                yield _shape(place, carrier, "plain", place.request(carrier.value))
        seen.add(field)
    for name, group, body in special_bodies(dialect):
        yield Shape(dialect, "(body)", name, "special", group, body)


def shapes_at(place: Place) -> Iterator[Shape]:
    """Yield all shapes of one place."""
    for carrier in carriers():
        yield _shape(place, carrier, "plain", place.request(carrier.value))
    for carrier in chosen("png_data_url", "base64", "https_url", "phrase", "large_integers", "chat_part"):
        for name, value in _nested(carrier.value):
            yield _shape(place, carrier, name, place.request(value))
    yield from _respelled(place)
    if place.kind == "unknown field":
        yield from _extended(place)
    if place.key == "type":
        yield from _retyped(place)


SHAPES_OF_A_PLACE = 10
MAX_NEAR_OBJECTS = 2


def sampled(dialect: str, count: int) -> list[Shape]:
    """Return about ``count`` shapes, the same ones in each run: those of the smallest hashes, few of each place.

    Half of the places are near the root, where most of what is not refused stands.
    """
    special = [Shape(dialect, "(body)", name, "special", group, body) for name, group, body in special_bodies(dialect)]
    of_places = max(1, (count - len(special)) // SHAPES_OF_A_PLACE)
    near = [place for place in places(dialect) if place.path.count("<") <= MAX_NEAR_OBJECTS]
    halves = ((places(dialect), of_places - of_places // 2), (near, of_places // 2))
    by_path = {
        place.path: place
        for half, wanted in halves
        for place in heapq.nsmallest(wanted, half, key=lambda place: _rank(place.path))
    }
    chosen_places = list(by_path.values())
    each = max(SHAPES_OF_A_PLACE, (count - len(special)) // len(chosen_places))
    found = [
        shape
        for place in chosen_places
        for shape in heapq.nsmallest(each, shapes_at(place), key=lambda shape: _rank(shape.id))
    ]
    return found + special


def _rank(name: str) -> bytes:
    return hashlib.sha256(name.encode()).digest()


def _shape(place: Place, carrier: Carrier, spelling: str, request: Any) -> Shape:
    return Shape(place.dialect, place.path, carrier.name, spelling, carrier.group, request)


def _nested(value: Any) -> Iterable[tuple[str, Any]]:
    return (
        ("in a list", [value]),
        ("in an object", {"x_wrap": value}),
        ("in lists and objects", {"x": [{"y": value}]}),
        ("in three objects", {"x": {"y": {"z": value}}}),
        ("late in a list", ["hello there"] * 60 + [value]),
    )


def _respelled(place: Place) -> Iterator[Shape]:
    """Yield requests in which a key is not spelled as the schema has it, or stands twice."""
    for carrier in chosen("png_data_url", "phrase", "https_url", "chat_parts", "messages_blocks", "responses_parts"):
        value, key = carrier.value, place.key
        if key is not None and place.kind != "unknown field":
            for name, variant in spellings(key):
                yield _shape(place, carrier, f"{name} alone", place.request_with((variant, value)))
                both = ((key, place.benign), (variant, value))
                yield _shape(place, carrier, f"{name} after", place.request_with(*both))
                yield _shape(place, carrier, f"{name} before", place.request_with(*reversed(both)))
        root = place.path.split(".")[0].split("<")[0].split("[")[0]
        request = place.request(value)
        if not isinstance(request, Members) or root == place.path or root not in dict(request):
            continue
        ordinary = minimal_request(place.dialect)
        if root in ordinary:
            for name, variant in spellings(root):
                rest = [(key, inner) for key, inner in request if key != root]
                both = ((root, ordinary[root]), (variant, dict(request)[root]))
                yield _shape(place, carrier, f"{name} of the root's, after", Members([*rest, *both]))
                yield _shape(place, carrier, f"{name} of the root's, before", Members([*rest, *reversed(both)]))


def spellings(key: str) -> list[tuple[str, str | Raw]]:
    """Return a key as other readers may take it for the same one, and the key itself, to stand twice."""
    folds = key.replace("s", "ſ", 1) if "s" in key else key.replace("k", "\u212a", 1)  # noqa: RUF001
    wide = chr(ord(key[0]) + 0xFEE0) + key[1:]
    capitals = [key.upper(), key.capitalize(), folds, wide]
    escape = Raw(f'"\\u{ord(key[0]):04x}{key[1:]}"')
    names = ("capitals", "a capital", "fold", "wide letter")
    found: list[tuple[str, str | Raw]] = [
        (name, variant) for name, variant in zip(names, capitals, strict=True) if variant != key
    ]
    return [*found, ("twice", key), ("escaped key", escape)]


def _extended(place: Place) -> Iterator[Shape]:
    for carrier in chosen(
        "png_data_url", "base64", "https_url", "phrase", "object_url", "object_data", "chat_parts", "file_id_object"
    ):
        for name in EXTENSIONS:
            beside = [(key, value) for key, value in place.members if key != name]
            yield _shape(place, carrier, f"as {name}", place.wrap(Members([*beside, (name, carrier.value)])))


def _retyped(place: Place) -> Iterator[Shape]:
    """Yield the object with a type that no schema has, and a carrier beside it."""
    for name in ("x_unknown", "image", "IMAGE_URL", "input_video", "tool_image", "custom", "text"):
        for carrier in chosen("png_data_url", "https_url", "phrase", "object_data"):
            members = Members([*place.members, ("type", name), ("x_extra", carrier.value)])
            yield _shape(place, carrier, f"type {name}", place.wrap(members))
