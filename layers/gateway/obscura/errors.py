"""The errors of the API: one class for each code, imported by every other package.

Those of policies stand in ``obscura.policy.errors``. A message says what was wrong, the limit, and what the caller
can do. It never echoes image bytes, keys, internal addresses or an upstream's body. The dialects write
errors in their own formats (``obscura.dialects.errors``).

    ObscuraError
    ├── 400  InvalidJson · InvalidRequest · UnsupportedField · UnsupportedOperation · RetentionConflict
    │        UnsupportedImageFormat · InvalidImage · ImageTooLarge · ImageTooManyPixels · UnsupportedImageDimensions
    │        TooManyImages · TooManyContentParts · TooManyItems · TooManyPixels · InvalidDocument · DocumentTooLarge
    │        InvalidImageUrl · UnsafeImageUrl · ImageFetchFailed · ModerationBlocked · VideoAnonBlocked
    ├── 401  MissingCredentials · InvalidApiKey · InvalidToken · 402 UpstreamBilling · 403 PermissionDenied
    ├── 404  ModelNotFound · FileNotFound · ResponseNotFound · NotFound
    ├── 405  MethodNotAllowed (in ``obscura.api.methods``) · 408 RequestTimeout · 413 RequestTooLarge
    ├── 429  FreeTierExhausted · RateLimitExceeded · QuotaExceeded      (each with ``retry_after_s``)
    ├── 500  InternalError · 502 UpstreamError
    ├── 503  ModerationUnavailable · UpstreamUnavailable · StoreUnavailable (the last two share their code)
    │        Overloaded                                                  (with ``retry_after_s``)
    └── 504  UpstreamTimeout · 507 StorageFull
"""

from typing import ClassVar, Self


class ClientDisconnected(Exception):
    """The client closed the connection."""


class ObscuraError(Exception):
    """An error that the caller gets; ``param`` is the JSON path that it concerns, if there is one.

    ``response_…`` is what the caller gets, an upstream's own if the error is one of its; logs and metrics have the
    class's status and code. ``details`` is what a program may read beside the code, as JSON values.
    """

    status: ClassVar[int]
    code: ClassVar[str]

    def __init__(self, message: str, *, param: str | None = None, retry_after_s: int | None = None) -> None:
        super().__init__(message)
        self.message = message
        self.param = param
        self.retry_after_s = retry_after_s
        self.category: str | None = None
        self.details: object | None = None
        self.response_status: int = self.status
        self.response_code: str = self.code
        self.response_type: str | None = None
        self.headers: dict[str, str] = {}
        self.policy: bytes | None = None
        """The decision of a policy as JSON, which stands beside the error (``/policy/*`` alone)."""

    def at(self, path: str) -> Self:
        """Return a copy that names ``path``, with this error's traceback and cause; a raised error is never changed."""
        error = type(self).__new__(type(self), *self.args)
        error.__dict__.update(self.__dict__, param=path, headers=dict(self.headers))
        error.__cause__, error.__suppress_context__ = self.__cause__, self.__suppress_context__
        return error.with_traceback(self.__traceback__)


class InvalidJson(ObscuraError):
    """The body is not JSON, or JSON that is out of bounds (depth, number length, number of values)."""

    status, code = 400, "invalid_json"


class InvalidRequest(ObscuraError):
    """The body is JSON, but not a request of this dialect."""

    status, code = 400, "invalid_request"


class UnsupportedField(ObscuraError):
    """A field that cannot be translated to the upstream's dialect."""

    status, code = 400, "unsupported_field"


class UnsupportedImageFormat(ObscuraError):
    """Bytes of a format that ``obscura.imaging.formats`` does not list."""

    status, code = 400, "unsupported_image_format"


class InvalidImage(ObscuraError):
    """Corrupt, truncated, or not base64."""

    status, code = 400, "invalid_image"


class ImageTooLarge(ObscuraError):
    """More raw bytes than one image may have."""

    status, code = 400, "image_too_large"


class ImageTooManyPixels(ObscuraError):
    """More decoded pixels than one image may have, by its header."""

    status, code = 400, "image_too_many_pixels"


class UnsupportedImageDimensions(ObscuraError):
    """An aspect ratio past the limit."""

    status, code = 400, "unsupported_image_dimensions"


class TooManyImages(ObscuraError):
    """More images than a request may carry."""

    status, code = 400, "too_many_images"


class TooManyPixels(ObscuraError):
    """Images that together have more pixels to decode than one request may have, by their headers."""

    status, code = 400, "too_many_pixels"


class TooManyContentParts(ObscuraError):
    """More content parts than a message may carry."""

    status, code = 400, "too_many_content_parts"


class TooManyItems(ObscuraError):
    """More messages, parts and tools, all together, than a request may carry."""

    status, code = 400, "too_many_items"


class InvalidDocument(ObscuraError):
    """A document that is no PDF, is broken, needs a password, or whose pages only a script draws."""

    status, code = 400, "invalid_document"


class DocumentTooLarge(ObscuraError):
    """A document of more bytes, pages, pixels, text or rendering time than one may have."""

    status, code = 400, "document_too_large"


class InvalidImageUrl(ObscuraError):
    """A URL that is not allowed as such: its scheme, its spelling, its userinfo."""

    status, code = 400, "invalid_image_url"


class UnsafeImageUrl(ObscuraError):
    """A URL to a host, port or address that no image may be fetched from."""

    status, code = 400, "unsafe_image_url"


class ImageFetchFailed(ObscuraError):
    """The image host could not be reached, responded with another status than 200, or was too slow."""

    status, code = 400, "image_fetch_failed"


class ModerationBlocked(ObscuraError):
    """An image or the text was flagged; ``category`` names the moderation category with the highest score."""

    status, code = 400, "moderation_blocked"

    def __init__(self, message: str, *, category: str, param: str | None = None) -> None:
        super().__init__(message, param=param)
        self.category = category


class VideoAnonBlocked(ObscuraError):
    """A video from an anonymous caller."""

    status, code = 400, "video_anon_blocked"


class UnsupportedOperation(ObscuraError):
    """An operation that this endpoint, this model or this deployment does not support."""

    status, code = 400, "unsupported_operation"


class RetentionConflict(ObscuraError):
    """A zero-retention request to store a file, or that names a stored one."""

    status, code = 400, "retention_conflict"


class UpstreamBilling(ObscuraError):
    """The upstream's account has no credit or no quota left: trying again does not help."""

    status, code = 402, "upstream_billing"


class MissingCredentials(ObscuraError):
    """No key, no token, no free tier."""

    status, code = 401, "missing_credentials"


class InvalidApiKey(ObscuraError):
    """A key that was never created here, or is revoked."""

    status, code = 401, "invalid_api_key"


class InvalidToken(ObscuraError):
    """A JWT that is forged, expired, or for another audience."""

    status, code = 401, "invalid_token"


class PermissionDenied(ObscuraError):
    """A key that is not for this family of endpoints."""

    status, code = 403, "permission_denied"


class ModelNotFound(ObscuraError):
    """A model that neither the catalog nor the upstream lists."""

    status, code = 404, "model_not_found"


class FileNotFound(ObscuraError):
    """A file id that does not exist in the caller's project."""

    status, code = 404, "file_not_found"


class ResponseNotFound(ObscuraError):
    """The id of a response, or of an item of one, that is not stored in the caller's project."""

    status, code = 404, "response_not_found"


class NotFound(ObscuraError):
    """A path that Obscura does not serve."""

    status, code = 404, "not_found"


class RequestTimeout(ObscuraError):
    """A body that arrives below the least rate; its connection is closed (RFC 9110 §15.5.9)."""

    status, code = 408, "request_timeout"


class RequestTooLarge(ObscuraError):
    """A body past the limit."""

    status, code = 413, "request_too_large"


class FreeTierExhausted(ObscuraError):
    """The network has used its free requests of the day."""

    status, code = 429, "free_tier_exhausted"


class RateLimitExceeded(ObscuraError):
    """More requests than the key, the JWT or the upstream allows."""

    status, code = 429, "rate_limit_exceeded"


class QuotaExceeded(ObscuraError):
    """A quota of the project or of a policy is used up."""

    status, code = 429, "quota_exceeded"


class InternalError(ObscuraError):
    """An error in Obscura itself."""

    status, code = 500, "internal_error"


class UpstreamError(ObscuraError):
    """The upstream failed, or rejected the operator's credentials."""

    status, code = 502, "upstream_error"


class ModerationUnavailable(ObscuraError):
    """The moderation service could not be used: the request fails closed."""

    status, code = 503, "moderation_unavailable"


class UpstreamUnavailable(ObscuraError):
    """The upstream could not be reached, or reports that it is overloaded."""

    status, code = 503, "upstream_unavailable"


class StoreUnavailable(ObscuraError):
    """A store of the gateway itself (keys, counters, files) could not be reached."""

    status, code = 503, "upstream_unavailable"


class Overloaded(ObscuraError):
    """The memory for bodies is taken by other requests."""

    status, code = 503, "overloaded"


class UpstreamTimeout(ObscuraError):
    """The upstream did not respond in time."""

    status, code = 504, "upstream_timeout"


class StorageFull(ObscuraError):
    """A file that the project's limits or the disk have no space for; nothing but files gets this error."""

    status, code = 507, "storage_full"
