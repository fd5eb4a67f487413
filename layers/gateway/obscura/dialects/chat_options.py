"""What a translation to chat has to know of the model that it goes to, and the name of its token limit."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class TokenLimit:
    """The field of a translated request that limits the tokens of the answer: the first one of its body.

    ``model`` is the one that takes it under this name; a server that refuses it is asked once by its other name.
    """

    field: str
    model: str

    def renamed(self, body: bytes, field: str) -> bytes:
        """Return a body with the field under another name."""
        return b"".join((b'{"', field.encode(), memoryview(body)[len(self.field) + len('{"') :]))


@dataclass(frozen=True, slots=True)
class ChatOptions:
    """What a translation to chat has to know of the model that it goes to (docs/catalogue.md).

    ``token_limit_field`` is its name for the limit of the answer's tokens. It ``drops_hosted_tools`` of the provider's
    own where the caller leaves the choice to the model, takes ``custom_tools`` as such (otherwise they are functions of
    one text), and continues a ``prefill``, a last message of the assistant's. Its images have ``image_uuids``.
    """

    token_limit_field: str = "max_tokens"
    drops_hosted_tools: bool = False
    custom_tools: bool = False
    prefill: bool = False
    image_uuids: bool = False


DEFAULT_OPTIONS = ChatOptions()
