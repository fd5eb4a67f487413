"""Image requests (OpenAI's API reference, "Images"): parsed, and rendered for upstream as they came."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import msgspec
from msgspec import Raw

from obscura.dialects.base import (
    ContentLimits,
    DocumentSlot,
    ImageSlot,
    ResponseTranslator,
    SourceKind,
    StreamTranslator,
    UpstreamBody,
    VideoSlot,
)
from obscura.dialects.content import RequestContent
from obscura.dialects.images.form import ImageForm, write_form
from obscura.dialects.images.rules import EDIT, GENERATION, REFERENCES
from obscura.dialects.json.fields import optional_bool, required_string
from obscura.dialects.json.raw import (
    Node,
    RawJson,
    RawObject,
    is_array,
    is_null,
    is_string,
    open_array,
    open_object,
    quoted,
)
from obscura.dialects.rules.containers import Fields, review
from obscura.errors import InvalidRequest, TooManyImages, UnsupportedField

NAME = "images"
GENERATIONS, EDITS = "/images/generations", "/images/edits"
DETAIL = "high"
MAX_IMAGES = 16
"""Reference images, or images to edit, in a request (OpenAI's API reference, "Create image edit")."""
MAX_GENERATED = 10
FORMATS = ("png", "jpeg", "webp")
_JSON = "application/json"


@dataclass(slots=True)
class ImagesRequest:
    """A request for images; ``path`` is the upstream's, below its base URL.

    ``images`` are the references, or what is to be edited, and the mask after them. ``count`` images are asked for, of
    which ``answer_key`` is the key in the answer, None for the upstream's choice.
    """

    path: str
    content: RequestContent
    model: str
    count: int
    answer_key: str | None
    form: ImageForm | None = None
    mask_path: str | None = None
    finish: Callable[[RawObject], None] = field(default=lambda root: None)
    """Puts the prepared images into the body, once they have been replaced."""

    @property
    def images(self) -> Sequence[ImageSlot]:
        """Every image, in request order, the mask last."""
        return self.content.images

    @property
    def pictured(self) -> Sequence[ImageSlot]:
        """Every image but the mask."""
        return self.content.images if self.mask_path is None else self.content.images[:-1]

    @property
    def videos(self) -> Sequence[VideoSlot]:
        """None: there are no such fields."""
        return ()

    @property
    def documents(self) -> Sequence[DocumentSlot]:
        """None: there are no such fields."""
        return ()

    @property
    def texts(self) -> Sequence[str]:
        """The prompt, and every other text that the model may read."""
        return self.content.texts

    def rewrite_texts(self, rewrite: Callable[[str], str]) -> None:
        """Refuse: no policy is applied here."""
        raise NotImplementedError

    def to_upstream(self, model: str) -> UpstreamBody:
        """Render the request for an upstream's ``model``, with the images replaced; it may be called again."""
        root = self.content.body.root
        root["model"] = Raw(msgspec.json.encode(model))
        if self.form is not None:
            content_type, body = write_form(root, self.form, self.content.body)
        else:
            self.finish(root)
            content_type, body = _JSON, self.content.body.render()
        return UpstreamBody(NAME, body, False, _AS_IT_IS, path=self.path, content_type=content_type)


class _AsItIs(ResponseTranslator):
    """The answer is read by the pipeline, which checks its images first."""

    def translate(self, upstream_body: bytes, image_tokens: Sequence[int]) -> bytes:
        """Return the body as it is."""
        return upstream_body

    def stream(self, image_tokens: Sequence[int]) -> StreamTranslator:
        """Raise: no stream is requested."""
        raise NotImplementedError


_AS_IT_IS = _AsItIs()


def parse_generation(body: RawJson, limits: ContentLimits) -> ImagesRequest:
    """Parse a request for new images; raises ObscuraErrors, each with the JSON path as its ``param``."""
    content = RequestContent(body, limits)
    root = body.root
    found = {name: root.pop(name) for name in REFERENCES if not is_null(root.get(name))}
    written: list[Raw] = []
    for name, leaf in found.items():
        kind = SourceKind.FILE_ID if name.startswith("file_id") else SourceKind.URL
        if name.endswith("s"):
            for index, element in enumerate(open_array(leaf, name)):
                _add_image(content, element, f"{name}[{index}]", kind, written)
        else:
            _add_image(content, leaf, name, kind, written)
    parsed = _parsed(GENERATIONS, content, GENERATION)
    is_single = len(found) == 1 and not next(iter(found)).endswith("s")

    def finish(root: RawObject) -> None:
        if written:
            root["image_url" if is_single else "image_urls"] = written[0] if is_single else list(written)

    parsed.finish = finish
    return parsed


def parse_edit(body: RawJson, limits: ContentLimits) -> ImagesRequest:
    """Parse a JSON request for edited images; raises ObscuraErrors, each with the JSON path as its ``param``."""
    content = RequestContent(body, limits)
    root = body.root
    listed, mask = root.pop("images", None), root.pop("mask", None)
    written: list[Raw] = []
    for index, reference in enumerate(open_array(listed, "images") if is_array(listed) else ()):
        _add_reference(content, reference, f"images[{index}]", written)
    if not written:
        raise InvalidRequest("'images' is required: an array of images to edit.", param="images")
    if not is_null(mask) and isinstance(mask, Raw):
        _add_reference(content, mask, "mask", written)
    parsed = _parsed(EDITS, content, EDIT)
    parsed.mask_path = None if is_null(mask) else content.images[-1].path

    def finish(root: RawObject) -> None:
        references: list[Node] = [{"image_url": image} for image in written]
        if parsed.mask_path is not None:
            root["mask"] = references.pop()
        root["images"] = references

    parsed.finish = finish
    return parsed


def parse_edit_form(form: ImageForm, body: RawJson, limits: ContentLimits) -> ImagesRequest:
    """Parse a form for edited images, of which ``body`` has the fields; its files become the images."""
    content = RequestContent(body, limits)
    masks = [file for file in form.files if file.name == "mask"]
    form.files.sort(key=lambda file: file.name == "mask")
    for file in form.files:
        content.images.append(ImageSlot(file.path, memoryview(file.data), DETAIL, file.replace, SourceKind.FILE))
    if len(masks) == len(form.files):
        raise InvalidRequest("'image' is required: the file of the image to edit.", param="image")
    parsed = _parsed(EDITS, content, EDIT)
    parsed.form, parsed.mask_path = form, "mask" if masks else None
    return parsed


def _parsed(path: str, content: RequestContent, rule: Fields) -> ImagesRequest:
    body, root = content.body, content.body.root
    if len(content.images) > MAX_IMAGES + 1:
        raise TooManyImages(
            f"The request has {len(content.images)} images; {MAX_IMAGES} are allowed here, and a mask.",
            param=content.images[MAX_IMAGES].path,
        )
    model = required_string(body, root, "model")
    required_string(body, root, "prompt")
    if optional_bool(root, "stream"):
        raise _unsupported("stream", "Images are moderated whole, before anything of them leaves. Leave it out.")
    if not is_null(root.get("partial_images")):
        raise _unsupported("partial_images", "Images are moderated whole, and so are not sent in parts. Leave it out.")
    for name in ("stream", "partial_images"):
        root.pop(name, None)
    chosen = _one_of(content, "output_format", (*FORMATS, "gif", "svg"))
    if chosen is not None and chosen not in FORMATS:
        raise _unsupported(
            "output_format", f"A {chosen} cannot be moderated whole. Choose one of {', '.join(FORMATS)}."
        )
    answer_key = _one_of(content, "response_format", ("url", "b64_json"))
    count = _count(root.get("n"))
    review(root, rule, content)
    body.check_unread()
    return ImagesRequest(path, content, model, count, answer_key)


def _unsupported(name: str, way_out: str) -> UnsupportedField:
    return UnsupportedField(f"'{name}' is not supported here. {way_out}", param=name)


def _one_of(content: RequestContent, name: str, choices: Sequence[str]) -> str | None:
    leaf = content.body.root.get(name)
    if is_null(leaf):
        return None
    chosen = content.body.text(leaf) if is_string(leaf) else ""
    if chosen not in choices:
        raise InvalidRequest(f"'{name}' must be one of {', '.join(choices)}.", param=name)
    return chosen


def _count(leaf: Node | None) -> int:
    if is_null(leaf):
        return 1
    digits = bytes(leaf) if isinstance(leaf, Raw) else b""
    if not digits.isdigit() or len(digits) > 3 or not 1 <= int(digits) <= MAX_GENERATED:
        raise InvalidRequest(f"'n' must be a whole number from 1 to {MAX_GENERATED}.", param="n")
    return int(digits)


def _add_reference(content: RequestContent, leaf: Node, path: str, written: list[Raw]) -> None:
    """Add an image by an object with one of ``image_url`` and ``file_id`` (OpenAI's ``ImageRefParam``)."""
    fields = open_object(leaf, path)
    for name in fields:
        if name not in {"image_url", "file_id"}:
            raise UnsupportedField(
                f"'{path}.{name[:100]}' is not known here: an image has image_url or file_id.",
                param=f"{path}.{name[:100]}",
            )
    named = {name: value for name, value in fields.items() if not is_null(value)}
    if len(named) != 1:
        raise InvalidRequest(f"'{path}' must have either image_url or file_id.", param=path)
    [(name, value)] = named.items()
    kind = SourceKind.FILE_ID if name == "file_id" else SourceKind.URL
    _add_image(content, value, f"{path}.{name}", kind, written)


def _add_image(content: RequestContent, leaf: Node, path: str, kind: SourceKind, written: list[Raw]) -> None:
    if not is_string(leaf):
        what = "the id of a stored file" if kind is SourceKind.FILE_ID else "an https URL or a data URL"
        raise InvalidRequest(f"'{path}' must be a string: {what}.", param=path)
    index = len(written)
    written.append(leaf)

    def replace(data_url: bytes | str) -> None:
        written[index] = quoted(data_url if isinstance(data_url, bytes) else data_url.encode())

    content.images.append(ImageSlot(path, content.body.string_slice(leaf), DETAIL, replace, kind, takes_text=False))
