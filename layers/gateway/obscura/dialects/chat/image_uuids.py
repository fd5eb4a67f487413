"""The ``uuid`` of image parts, by which vLLM finds an image that it has processed.

    {"type": "image_url", "image_url": {"url": "data:…"}, "uuid": "SHA-256 of the image's bytes, in hexadecimal"}

Source: vLLM, "Multimodal Inputs", "Cached Inputs" (https://docs.vllm.ai/en/v0.13.0/features/multimodal_inputs/).

What callers send there is taken off (``content.CACHE_IDS``): one of them could be answered on another's image.
"""

import hashlib

from obscura.dialects.data_url import base64_of, decode_base64, is_data_url
from obscura.dialects.json.raw import Node, RawObject, is_string, quoted


def with_image_uuids(tree: RawObject) -> RawObject:
    """Return a chat request whose images each have a ``uuid``; the tree that is given stays as it is.

    Every data URL of an image part is a prepared image, which is the same for the same file, detail and limits.
    """
    messages = tree.get("messages")
    return tree | {"messages": [_message(message) for message in messages]} if isinstance(messages, list) else tree


def _message(message: Node) -> Node:
    content = message.get("content") if isinstance(message, dict) else None
    if not isinstance(message, dict) or not isinstance(content, list):
        return message
    return message | {"content": [_part(part) for part in content]}


def _part(part: Node) -> Node:
    if not isinstance(part, dict) or "image_url" not in part:
        return part
    image_url = part["image_url"]
    url = image_url.get("url") if isinstance(image_url, dict) else image_url
    if not is_string(url):
        return part
    text = memoryview(url)[1:-1]
    if not is_data_url(text):
        return part
    encoded = base64_of(text)
    digest = hashlib.sha256(decode_base64(encoded, len(encoded))).hexdigest()
    return part | {"uuid": quoted(digest.encode())}
