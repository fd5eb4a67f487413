"""Images out: admit, read, select a model, check what goes out, call, check what comes back (ADR 180)."""

from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import replace
from functools import partial
from typing import Protocol

from obscura.auth.access import Principal, admission
from obscura.auth.base import KeyScope
from obscura.dialects.base import CallerApi, ContentLimits, UpstreamBody
from obscura.dialects.images.answer import read_images, write_images
from obscura.dialects.images.form import read_image_form
from obscura.dialects.images.request import EDITS, NAME, ImagesRequest, parse_edit_form
from obscura.dialects.json.fields import require_image_count
from obscura.dialects.json.raw import RawJson
from obscura.errors import UnsupportedOperation, UpstreamError
from obscura.execution import run_off_loop
from obscura.memory_budget import request_memory
from obscura.pipeline.call_upstream import call_model
from obscura.pipeline.check_content import ContentCheck
from obscura.pipeline.edited_images import EditPreparation, with_originals
from obscura.pipeline.generated_images import GeneratedCheck
from obscura.pipeline.handle import access_request
from obscura.pipeline.image_history import image_limit
from obscura.pipeline.members import in_turn, only
from obscura.pipeline.metering import Expected, Metering
from obscura.pipeline.moderate import with_text_limit
from obscura.pipeline.policy_fields import take_policy_fields
from obscura.pipeline.prepare import PreparedImagePart
from obscura.pipeline.read_body import read_and_parse, receive_body, require_uncompressed
from obscura.pipeline.request import GatewayRequest, GatewayResponse
from obscura.pipeline.select_model import find_model, joined_names
from obscura.pipeline.services import Services
from obscura.pipeline.upstream_state import require_files_allowed
from obscura.upstreams.base import CatalogModel
from obscura.upstreams.headers import IDEMPOTENCY_KEY, request_headers
from obscura.usage.base import DEFAULT_MAX_OUTPUT, Tokens
from obscura.usage.read import BYTES_PER_TOKEN


class ImagesApi(CallerApi, Protocol):
    """One of the endpoints (``dialects.images.apis``)."""

    @property
    def takes_forms(self) -> bool:
        """Whether a request may be a form."""
        ...

    @property
    def parse(self) -> Callable[[RawJson, ContentLimits], ImagesRequest]:
        """The parser of a JSON request."""
        ...


@asynccontextmanager
async def handle_images(request: GatewayRequest, api: ImagesApi, services: Services) -> AsyncIterator[GatewayResponse]:
    """Handle one request for images; raises an ObscuraError for every response but a success."""
    access = access_request(request, api, uses_free_quota=True, scope=KeyScope.IMAGES)
    async with admission(access, services.access_control) as principal:
        record = request.record
        with record.timed_step("read"):
            parsed = await _read(request, api, principal, services)
        record.model = parsed.model
        require_files_allowed(parsed, principal)
        with record.timed_step("choose"):
            model = await _select(parsed, services)
        check = ContentCheck.of(record, principal, model, services, moderated=True)
        images = await _prepare(parsed, check, principal, services)
        record.images = [image.record for image in images]
        tokens = [image.tokens for image in images]
        metering = Metering(request, principal, services, model, _expected(parsed, model, tokens))
        headers = await metering.reserve()
        record.left_gateway = True
        answer_key, output_tokens = parsed.answer_key, _output_tokens(parsed, model)
        try:
            with record.timed_step("relay"):
                calling = _call(parsed, model, tokens, request, principal, services)
                del parsed, images  # what the upstream has been sent is not held while its response is checked
                response = await calling
            request_memory().release()
            generated = GeneratedCheck.of(check, model, services)
            answer = await _answer(response, answer_key, output_tokens, generated, metering)
        finally:
            await metering.settle()
        if tokens:
            headers["x-image-tokens"] = ",".join(map(str, tokens))
        yield replace(response, body=answer, headers=response.headers | headers)


@asynccontextmanager
async def refuse_dry_run(request: GatewayRequest, api: ImagesApi, services: Services) -> AsyncIterator[GatewayResponse]:
    """Refuse ``X-Obscura-Dry-Run``: inspections are of conversations. Raises what admission raises, too."""
    access = access_request(request, api, uses_free_quota=False, scope=KeyScope.IMAGES)
    async with admission(access, services.access_control):
        _refuse_dry_run()
    yield GatewayResponse(204, "", b"")


def _refuse_dry_run() -> None:
    raise UnsupportedOperation(
        "There is no dry run of image requests. Inspect the prompt and the images as a chat request: "
        "'POST /v1/inspect'."
    )


async def _read(request: GatewayRequest, api: ImagesApi, principal: Principal, services: Services) -> ImagesRequest:
    limits = services.limits
    content = with_text_limit(limits.content, limits.text_chars, anonymous=principal.anonymous)

    def parse(body: RawJson) -> ImagesRequest:
        take_policy_fields(body)
        return api.parse(body, content)

    content_type = request.head.headers.get("content-type", "")
    if not (api.takes_forms and content_type.strip().lower().startswith("multipart/")):
        return (await read_and_parse(request, limits.body_bytes, content.items, parse)).parsed
    require_uncompressed(request)
    received = await receive_body(request, limits.body_bytes)
    request.record.body_bytes = len(received)

    def parse_form() -> ImagesRequest:
        form = read_image_form(content_type, received)
        body = RawJson(form.to_json(), content.items)
        take_policy_fields(body)
        return parse_edit_form(form, body, content)

    return await run_off_loop(parse_form)


async def _select(parsed: ImagesRequest, services: Services) -> CatalogModel:
    """Return the model of a request, of a group those of its members that make images.

    Raises ModelNotFound; UnsupportedOperation for a model that makes none, or takes none and gets some.
    """
    model = await find_model(parsed.model, services.catalog)
    if not any(member.images_out for member in model.asked):
        others = [other.id for other in await services.catalog.all() if other.images_out]
        hint = f"Models that do: {joined_names(others)}." if others else "None here does (images_out in the catalog)."
        raise UnsupportedOperation(f"The model '{model.id[:100]}' makes no images. {hint}", param="model")
    if parsed.images and "image" not in model.input_modalities:
        raise UnsupportedOperation(
            f"The model '{model.id[:100]}' takes no images. Send the prompt alone.", param=parsed.images[0].path
        )
    limit = image_limit(services.limits.content, model.image_limits.max_images)
    require_image_count(parsed.pictured, limit)
    return in_turn(only(model, lambda member: member.images_out))


async def _prepare(
    parsed: ImagesRequest, check: ContentCheck, principal: Principal, services: Services
) -> list[PreparedImagePart]:
    """Prepare and moderate all that goes out, write it into the request, and return the images but for the mask."""
    sent: dict[str, bytes] = {}
    if parsed.path == EDITS:
        slots = await with_originals(parsed.images, principal, services)
        parsed.content.images[:] = slots
        preparation = EditPreparation.over(check.preparation, slots[0].path, parsed.mask_path)
        check, sent = replace(check, preparation=preparation), preparation.sent
    content = await check.run(parsed)

    def write() -> None:
        for slot, image in zip(parsed.images, content.images, strict=True):
            slot.replace(sent.get(slot.path, image.data_url))

    await run_off_loop(write, off_loop=bool(content.images))
    return list(content.images[: len(parsed.pictured)])


def _expected(parsed: ImagesRequest, model: CatalogModel, tokens: Sequence[int]) -> Expected:
    text = sum(len(text) for text in parsed.texts) // BYTES_PER_TOKEN + 1
    return Expected(Tokens(text + sum(tokens), _output_tokens(parsed, model), image=sum(tokens)), len(tokens))


def _output_tokens(parsed: ImagesRequest, model: CatalogModel) -> int:
    """Return what the answer is reserved as, and counted as if the upstream says nothing: a model's limit an image."""
    return parsed.count * (model.max_output or DEFAULT_MAX_OUTPUT)


async def _call(  # noqa: PLR0913, PLR0917 - a request, and whom it goes to
    parsed: ImagesRequest,
    model: CatalogModel,
    tokens: list[int],
    request: GatewayRequest,
    principal: Principal,
    services: Services,
) -> GatewayResponse:
    chosen = services.limits.passed_headers
    if principal.zero_retention:
        chosen -= {IDEMPOTENCY_KEY}  # by it the upstream would keep the answer
    passed = request_headers(request.head.headers, NAME, chosen, principal.project)

    def render(member: CatalogModel) -> UpstreamBody:
        return replace(parsed.to_upstream(member.id), headers=passed)

    if model.members:
        from obscura.pipeline.fallback import GroupCall

        group = GroupCall(model, render, bool(tokens), tokens, request.record, request.expires_at_s)
        return await group.response()
    body = await run_off_loop(partial(render, model), off_loop=bool(tokens))
    return await call_model(body, model, tokens, request.record)


async def _answer(
    response: GatewayResponse, answer_key: str | None, output_tokens: int, generated: GeneratedCheck, metering: Metering
) -> bytes:
    """Return the caller's answer, of images that were made again and moderated; what was made counts in any case."""
    if not isinstance(response.body, bytes):
        raise UpstreamError("The upstream streams its answer, which was not asked for. Try again.")
    answer = await run_off_loop(partial(read_images, response.body))
    usage = metering.count_generated(answer.usage, len(answer.images), output_tokens)
    record = generated.check.record
    record.images_out = len(answer.images)
    with record.timed_step("check"):
        made = await generated.load(answer.images)
        checked = await generated.review(answer.images, made)
    return await run_off_loop(partial(write_images, answer, checked, answer_key, usage))
