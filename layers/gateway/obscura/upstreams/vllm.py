"""vLLM: OpenAI's dialects and Messages, and images by their hash."""

from typing import ClassVar

from obscura.upstreams.anthropic import AnthropicUpstream


class VllmUpstream(AnthropicUpstream):
    """Speaks what vLLM does; image parts of its chat requests have a ``uuid`` (``dialects.chat.image_uuids``)."""

    image_uuids: ClassVar[bool] = True
