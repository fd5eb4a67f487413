"""What a policy changes of a request before moderation: its texts, redacted or by a service, and its images."""

from collections.abc import Iterable, Sequence
from dataclasses import replace

from obscura.dialects.base import RequestContent
from obscura.dialects.data_url import base64_of
from obscura.errors import InvalidRequest
from obscura.pipeline.check_content import CheckedContent, ContentCheck
from obscura.pipeline.prepare import ImageToInspect, PreparedImagePart
from obscura.policy.engine import CheckedRequest, CompiledPolicy
from obscura.policy.escapes import unescaped
from obscura.policy.terms import SearchedText


def redacted(
    parsed: RequestContent, content: CheckedContent, checked: CheckedRequest, policy: CompiledPolicy
) -> CheckedContent:
    """Redact the request and its documents; raises InvalidRequest if something is left that should not be."""

    def redact(text: str) -> str:
        return checked.redactor.redacted(text, SearchedText(unescaped(text)))

    parsed.rewrite_texts(redact)
    documents = [replace(one, texts=[redact(text) for text in one.texts]) for one in content.documents]
    left = CheckedContent(content.images, documents)
    rules = policy.redaction
    # What moderation and the model get is read again from the request: nothing that is redacted may be left in it.
    if any(rules.spans(SearchedText(unescaped(text))) for text in left.texts_of(parsed)):
        raise InvalidRequest(
            "The policy redacts something that stands across two strings of the request, so it cannot be sent. Join "
            "them, or leave it out."
        )
    return left


def write_texts(
    parsed: RequestContent, content: CheckedContent, old: Sequence[str], new: Sequence[str]
) -> CheckedContent:
    """Write changed texts into a request and its documents; raises ValueError if one of them cannot be written."""
    own = len(parsed.texts)
    changed = {before: after for before, after in zip(old[:own], new[:own], strict=True) if before != after}
    if changed:
        parsed.rewrite_texts(lambda text: changed.get(text, text))
    documents, position = [], own
    for document in content.documents:
        end = position + len(document.texts)
        documents.append(replace(document, texts=list(new[position:end])))
        position = end
    if tuple(parsed.texts) != tuple(new[:own]):
        raise ValueError("a text that stands in several places, or across strings, cannot be changed in one")
    return CheckedContent(content.images, documents)


async def write_images(
    check: ContentCheck, parsed: RequestContent, content: CheckedContent, new: Sequence[str]
) -> CheckedContent:
    """Prepare changed images as any image is, and put them in the place of the others; raises an ObscuraError."""
    details = {slot.path: slot.detail for slot in parsed.images}
    details |= {slot.path: slot.detail for slot in parsed.documents}
    changed: dict[int, PreparedImagePart] = {}
    preparation = replace(check.preparation, cache=None)
    for image, url in zip(content.images_and_pages, new, strict=True):
        if url.encode(errors="replace") == image.data_url:
            continue
        detail = details[image.path]
        source = base64_of(memoryview(url.encode(errors="replace")))
        [inspected] = await preparation.inspect([ImageToInspect(image.path, detail, source)])
        prepared = replace(await preparation.prepare(image.path, detail, inspected), name=image.name)
        if check.known is not None:
            await check.known.require_unlisted(prepared)
        changed[id(image)] = prepared

    def left(images: Iterable[PreparedImagePart]) -> list[PreparedImagePart]:
        return [changed.get(id(image), image) for image in images]

    documents = [replace(document, images=left(document.images)) for document in content.documents]
    return CheckedContent(left(content.images), documents)
