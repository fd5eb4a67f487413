"""Amazon Bedrock as a kind of upstream: the operation of a request, its signature, the reader of its answer."""

from collections.abc import Mapping, Sequence
from hashlib import sha256
from typing import ClassVar, Self

import msgspec
import pybase64
from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest

from obscura.dialects.base import UpstreamBody
from obscura.errors import ObscuraError, UnsupportedOperation
from obscura.upstreams.base import (
    ModelListing,
    ModelOptions,
    RawHeaders,
    StreamDecoder,
    UpstreamDialect,
    UpstreamOptions,
    UpstreamRequest,
)
from obscura.upstreams.bedrock.converse_request import to_converse
from obscura.upstreams.bedrock.converse_response import ConverseReader
from obscura.upstreams.bedrock.credentials import AwsCredentials
from obscura.upstreams.bedrock.errors import error_of_response
from obscura.upstreams.bedrock.models import (
    ANTHROPIC,
    FOUNDATION_MODELS,
    INFERENCE_PROFILES,
    family_of,
    model_path,
    read_models,
)
from obscura.upstreams.bedrock.native_messages import CountReader, InvokeReader, to_invoke

EVENT_STREAM = "application/vnd.amazon.eventstream"
NATIVE = "messages"
SERVICE = "bedrock"
_JSON: RawHeaders = ((b"content-type", b"application/json"), (b"accept-encoding", b"identity"))
_ACCEPTS_JSON: RawHeaders = (*_JSON, (b"accept", b"application/json"))
_ACCEPTS_EVENTS: RawHeaders = (*_JSON, (b"accept", EVENT_STREAM.encode()))
_INVOKE_EVENTS: RawHeaders = (*_ACCEPTS_EVENTS, (b"x-amzn-bedrock-accept", b"application/json"))
_CONTENT_SHA256 = "x-amz-content-sha256"


class BedrockUpstream(UpstreamDialect):
    """Bedrock of one region; see ``UpstreamDialect``.

    Chat goes by Converse, Messages to Anthropic's models by InvokeModel. With a key, an API key of Bedrock, requests
    carry it as a bearer token; without, they are signed (Signature Version 4) with the process's own AWS credentials.
    """

    speaks: ClassVar[frozenset[str]] = frozenset({"chat", NATIVE})
    default_dialects: ClassVar[frozenset[str]] = speaks
    translates: ClassVar[bool] = True

    def __init__(
        self, key: str | None, options: UpstreamOptions | None = None, credentials: AwsCredentials | None = None
    ) -> None:
        """``credentials`` replace those of botocore's provider chain."""
        self._options = options or UpstreamOptions()
        self._bearer: RawHeaders | None = ((b"authorization", b"Bearer %b" % key.encode()),) if key else None
        self._credentials = credentials or AwsCredentials()
        guardrail = self._options.guardrail
        self._guardrail_headers: RawHeaders = (
            (
                (b"x-amzn-bedrock-guardrailidentifier", guardrail[0].encode()),
                (b"x-amzn-bedrock-guardrailversion", guardrail[1].encode()),
            )
            if guardrail
            else ()
        )

    @classmethod
    def configured(cls, key: str | None, options: UpstreamOptions) -> Self:
        """Create the dialect of one upstream, and begin to search for its credentials."""
        dialect = cls(key, options)
        if dialect._bearer is None:
            dialect._credentials.load_ahead()
        return dialect

    @classmethod
    def model_dialects(cls, options: ModelOptions, dialects: frozenset[str]) -> frozenset[str]:
        """Return chat alone for the models that are not Anthropic's."""
        return dialects if family_of(options) == ANTHROPIC else dialects - {NATIVE}

    async def ready(self) -> None:
        """Wait for credentials, if there are none that last; raises UpstreamError if there are none at all."""
        if self._bearer is None:
            await self._credentials.ready()

    def encode(self, body: UpstreamBody) -> UpstreamRequest:
        """Write a request, with the checksum of its body, which large ones are better not hashed on the loop for."""
        if body.dialect == "chat":
            return self._converse(body)
        if body.dialect == NATIVE:
            return self._invoke(body)
        raise UnsupportedOperation(f"The model's upstream does not speak {body.dialect}. Use chat completions.")

    def _converse(self, body: UpstreamBody) -> UpstreamRequest:
        options = self._options
        request = to_converse(body.body, options.models, options.guardrail, streamed=body.streamed)
        path = model_path(request.upstream_id, "converse-stream" if body.streamed else "converse")
        headers = _ACCEPTS_EVENTS if body.streamed else _ACCEPTS_JSON
        return self._request(path, headers, request.body, ConverseReader(request.model, request.includes_usage))

    def _invoke(self, body: UpstreamBody) -> UpstreamRequest:
        model, written = to_invoke(body)
        upstream_id = self._upstream_id(model)
        if body.counts_tokens:
            counted = {"input": {"invokeModel": {"body": pybase64.b64encode_as_string(written)}}}
            path = model_path(upstream_id, "count-tokens")
            return self._request(path, _ACCEPTS_JSON, msgspec.json.encode(counted), CountReader())
        path = model_path(upstream_id, "invoke-with-response-stream" if body.streamed else "invoke")
        headers = (*(_INVOKE_EVENTS if body.streamed else _ACCEPTS_JSON), *self._guardrail_headers)
        return self._request(path, headers, written, InvokeReader())

    def _upstream_id(self, model: str) -> str:
        options = self._options.models.get(model)
        return options.upstream_id if options is not None else model

    def _request(
        self, path: str, headers: RawHeaders, body: bytes, reader: ConverseReader | InvokeReader | CountReader
    ) -> UpstreamRequest:
        checksum = () if self._bearer is not None else ((_CONTENT_SHA256.encode(), _hashed(body)),)
        return UpstreamRequest(path, (*headers, *checksum), body, reader=reader)

    def authorize(self, request: UpstreamRequest, url: str) -> RawHeaders:
        """Return the signature of the whole request, or the API key's header.

        AWS's Signature Version 4 (IAM user guide, "Create a signed AWS API request"), by botocore's signer, which takes
        the body's checksum from its header.
        """
        if self._bearer is not None:
            return self._bearer
        given = {name.decode(): value.decode() for name, value in request.headers}
        signed = AWSRequest(request.method, url, headers=given)
        SigV4Auth(self._credentials.current, SERVICE, self._options.region).add_auth(signed)
        return tuple(
            (name.encode(), value.encode()) for name, value in signed.headers.items() if name.lower() not in given
        )

    def decode(self, body: bytes) -> bytes:
        """Return the body as it is: requests for answers have a reader of their own."""
        return body

    def is_stream(self, content_type: str) -> bool:
        """Whether a response is an event stream of AWS."""
        return content_type.startswith(EVENT_STREAM)

    def stream_decoder(self) -> StreamDecoder | None:
        """Return none: requests for answers have a reader of their own."""
        return None

    def error(self, status: int, body: bytes, headers: Mapping[str, str]) -> ObscuraError:
        """Return the error for a response of any status but 200."""
        return error_of_response(status, body, headers)

    def list_models(self) -> Sequence[UpstreamRequest]:
        """Write the requests for the models of the region, and for the inference profiles of the account."""
        base_url = self._options.control_url
        headers = (*_ACCEPTS_JSON, *(() if self._bearer is not None else ((_CONTENT_SHA256.encode(), _hashed(b"")),)))
        return [
            UpstreamRequest(path, headers, method="GET", base_url=base_url)
            for path in (FOUNDATION_MODELS, INFERENCE_PROFILES)
        ]

    def decode_models(self, body: bytes) -> Sequence[ModelListing]:
        """Read one of the two lists; raises UpstreamError if it is malformed."""
        return read_models(body)


def _hashed(body: bytes) -> bytes:
    return sha256(body).hexdigest().encode()
