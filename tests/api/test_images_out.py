"""Images out: generations and edits, relayed with prepared images, and answered with checked ones."""

import base64
import json
from pathlib import Path
from typing import Any

import httpx
import pytest
from openai import AsyncOpenAI, BadRequestError

from obscura.auth.base import KeyScope
from obscura.usage.base import parse_budgets
from tests.support.fake_upstream import answers, hangs_up
from tests.support.gateway import Gateway, running_gateway
from tests.support.image_requests import (
    GREEN,
    USAGE,
    a_cutout,
    a_generation,
    an_edit,
    answers_images,
    b64,
    fields_of,
    form_of,
    opened,
)
from tests.support.image_urls import data_url, image_in
from tests.support.loopback_server import LoopbackServer, loopback_server
from tests.unit.imaging.images import a_photograph, a_plain, exif, four_corners, saved

GENERATIONS, EDITS = "/v1/images/generations", "/v1/images/edits"


def sdk(gateway: Gateway) -> AsyncOpenAI:
    """OpenAI's client, to be closed."""
    return AsyncOpenAI(base_url=f"{gateway.url}/v1", api_key=gateway.key, max_retries=0)


async def test_the_demo_draws_an_image_for_openais_sdk(demo_gateway: Gateway) -> None:
    async with sdk(demo_gateway) as client:
        answer = await client.images.generate(model="obscura-demo", prompt="A valley", size="256x192", n=2)

    drawn = [opened(base64.b64decode(str(image.b64_json))) for image in answer.data]
    assert [image.size for image in drawn] == [(256, 192)] * 2
    assert all(image.getcolors(100) is None for image in drawn)
    assert drawn[0].tobytes() != drawn[1].tobytes()
    assert answer.usage.output_tokens > 0


async def test_the_demo_paints_where_the_mask_is_transparent(demo_gateway: Gateway) -> None:
    image, mask = a_plain(200, 100, "PNG"), a_cutout(200, 100, (50, 0, 150, 60))

    async with sdk(demo_gateway) as client:
        answer = await client.images.edit(
            model="obscura-demo", prompt="A window", image=("a.png", image), mask=("m.png", mask)
        )

    edited = opened(base64.b64decode(str(answer.data[0].b64_json))).convert("RGB")
    assert edited.size == (200, 100)
    assert edited.getpixel((10, 10)) == (255, 0, 0)
    assert edited.getpixel((100, 20)) != (255, 0, 0)


async def test_a_generation_goes_on_as_it_came_but_for_its_reference_images(
    gateway: Gateway, upstream: LoopbackServer
) -> None:
    upstream.respond = answers_images(GREEN, quality="high")
    turned = saved(four_corners(400, 200), "JPEG", exif=exif(6))

    response = await gateway.client.post(
        GENERATIONS, json=a_generation(size="1024x1024", seed=7, image_urls=[data_url(turned), data_url(GREEN)])
    )

    assert response.status_code == 200, response.text
    assert response.json()["data"] == [{"b64_json": b64(GREEN)}]
    assert (response.json()["usage"], response.json()["quality"]) == (USAGE, "high")
    assert response.headers["x-image-tokens"].count(",") == 1
    [received] = upstream.received
    sent = received.json()
    assert received.path == "/v1/images/generations"
    assert [opened(image_in(url)).size for url in sent.pop("image_urls")] == [(200, 400), (64, 64)]
    assert sent == {"model": "m", "prompt": "A cat", "size": "1024x1024", "seed": 7}


@pytest.mark.parametrize(
    ("names", "sent_as"), [(("image_url",), "image_url"), (("image_url", "file_id"), "image_urls")]
)
async def test_a_reference_goes_on_under_the_singular_name_if_it_is_alone(
    names: tuple[str, ...], sent_as: str, gateway: Gateway, upstream: LoopbackServer
) -> None:
    upstream.respond = answers_images(GREEN)
    stored = await gateway.client.post("/v1/files", files={"file": ("a.png", GREEN)}, data={"purpose": "vision"})
    references = {"image_url": data_url(GREEN), "file_id": stored.json()["id"]}

    response = await gateway.client.post(GENERATIONS, json=a_generation(**{name: references[name] for name in names}))

    assert response.status_code == 200, response.text
    sent = upstream.received[0].json()
    assert set(sent) == {"model", "prompt", sent_as}
    assert sent[sent_as] == (data_url(GREEN) if len(names) == 1 else [data_url(GREEN)] * 2)


async def test_references_are_prepared_at_high_detail(gateway: Gateway, upstream: LoopbackServer) -> None:
    upstream.respond = answers_images(GREEN)

    await gateway.client.post(GENERATIONS, json=a_generation(image_url=data_url(a_plain(3000, 30, "PNG"))))

    assert opened(image_in(upstream.received[0].json()["image_url"])).width == 2048


async def test_an_edit_by_form_goes_on_as_a_form(gateway: Gateway, upstream: LoopbackServer) -> None:
    upstream.respond = answers_images(GREEN)
    images = [("secret-name.jpg", a_photograph(300, 200, "JPEG", exif=exif(6))), ("b.png", GREEN)]
    mask = a_cutout(200, 300, (0, 0, 100, 100))

    async with sdk(gateway) as client:
        answer = await client.images.edit(model="m", prompt="A cat", image=images, mask=("m.png", mask), n=2)

    assert answer.data[0].b64_json == b64(GREEN)
    [received] = upstream.received
    form = form_of(received)
    assert received.path == "/v1/images/edits"
    assert fields_of(form) == {"model": "m", "prompt": "A cat", "n": 2}
    assert [file.name for file in form.files] == ["image[]", "image[]", "mask"]
    assert [opened(file.data).size for file in form.files] == [(200, 300), (64, 64), (200, 300)]
    assert b"secret-name" not in received.body
    assert b"Exif" not in received.body


async def test_a_mask_becomes_as_large_as_its_image_and_keeps_its_alpha(
    gateway: Gateway, upstream: LoopbackServer
) -> None:
    upstream.respond = answers_images(GREEN)
    image, mask = a_plain(4096, 1024, "PNG"), a_cutout(1024, 256, (256, 0, 512, 256))

    response = await gateway.client.post(EDITS, json=an_edit(data_url(image), mask={"image_url": data_url(mask)}))

    assert response.status_code == 200, response.text
    sent = upstream.received[0].json()
    prepared = opened(image_in(sent["mask"]["image_url"]))
    assert prepared.size == opened(image_in(sent["images"][0]["image_url"])).size == (2048, 512)
    assert prepared.mode == "RGBA"
    assert sorted(value for _, value in prepared.getchannel("A").getcolors()) == [0, 255]
    assert prepared.getpixel((768, 10)) == (255, 255, 255, 0)
    assert prepared.getpixel((10, 10)) == (255, 0, 0, 255)


async def test_an_edited_images_own_alpha_is_kept_from_a_stored_file_too(
    gateway: Gateway, upstream: LoopbackServer
) -> None:
    upstream.respond = answers_images(GREEN)
    cutout = a_cutout(100, 100, (0, 0, 50, 50))
    stored = await gateway.client.post("/v1/files", files={"file": ("a.png", cutout)}, data={"purpose": "vision"})

    response = await gateway.client.post(EDITS, json=a_generation(images=[{"file_id": stored.json()["id"]}]))

    assert response.status_code == 200, response.text
    sent = opened(image_in(upstream.received[0].json()["images"][0]["image_url"]))
    assert (sent.getpixel((10, 10)), sent.getpixel((90, 90))) == ((255, 255, 255, 0), (255, 0, 0, 255))


async def test_a_mask_of_another_shape_is_refused(gateway: Gateway, upstream: LoopbackServer) -> None:
    mask = {"image_url": data_url(a_cutout(100, 100, (0, 0, 9, 9)))}

    response = await gateway.client.post(EDITS, json=an_edit(data_url(a_plain(200, 100, "PNG")), mask=mask))

    assert (response.status_code, response.json()["error"]["param"]) == (400, "mask.image_url")
    assert upstream.received == []


@pytest.mark.parametrize(
    ("path", "fields", "param", "code"),
    [
        (GENERATIONS, {"stream": True}, "stream", "unsupported_field"),
        (GENERATIONS, {"partial_images": 2}, "partial_images", "unsupported_field"),
        (GENERATIONS, {"output_format": "svg"}, "output_format", "unsupported_field"),
        (GENERATIONS, {"n": 11}, "n", "invalid_request"),
        (GENERATIONS, {"n": "two"}, "n", "invalid_request"),
        (GENERATIONS, {"prompt": ""}, "prompt", "invalid_request"),
        (GENERATIONS, {"response_format": "file"}, "response_format", "invalid_request"),
        (GENERATIONS, {"image_urls": "https://x.example/a.png"}, "image_urls", "invalid_request"),
        (GENERATIONS, {"image_url": {"url": "https://x.example"}}, "image_url", "invalid_request"),
        (GENERATIONS, {"init_image": data_url(GREEN)}, "init_image", "unsupported_operation"),
        (GENERATIONS, {"mask": data_url(GREEN)}, "mask", "unsupported_operation"),
        (GENERATIONS, {"image_urls": [data_url(GREEN)] * 18}, "image_urls[16]", "too_many_images"),
        (EDITS, {}, "images", "invalid_request"),
        (EDITS, {"images": [{"image_url": data_url(GREEN), "file_id": "file_1"}]}, "images[0]", "invalid_request"),
        (EDITS, {"images": [{"url": "https://x.example"}]}, "images[0].url", "unsupported_field"),
    ],
)
async def test_what_cannot_be_relayed_is_refused_by_name(
    path: str, fields: dict, param: str, code: str, gateway: Gateway, upstream: LoopbackServer
) -> None:
    response = await gateway.client.post(path, json=a_generation(**fields))

    error = response.json()["error"]
    assert (response.status_code, error["param"], error["code"]) == (400, param, code)
    assert upstream.received == []


async def test_streams_of_forms_are_refused_too(gateway: Gateway) -> None:
    async with sdk(gateway) as client:
        with pytest.raises(BadRequestError) as refusal:
            await client.images.edit(model="m", prompt="A cat", image=("a.png", GREEN), stream=True)

    assert (refusal.value.param, refusal.value.code) == ("stream", "unsupported_field")


@pytest.mark.parametrize(
    ("body", "param"),
    [
        (b"--x\r\nContent-Disposition: form-data; name=prompt\r\n\r\nhi", None),
        (b'--x\r\nContent-Disposition: form-data; name="markup"; filename="a"\r\n\r\nhi\r\n--x--\r\n', "markup"),
        (b"--x\r\nContent-Disposition: form-data; name=prompt\r\n\r\nhi\r\n--x--\r\n", "image"),
        (b"--x\r\n\r\nhi\r\n--x--\r\n", None),
    ],
)
async def test_malformed_forms_are_refused(body: bytes, param: str | None, gateway: Gateway) -> None:
    headers = {"content-type": "multipart/form-data; boundary=x"}

    response = await gateway.client.post(EDITS, content=body, headers=headers)

    assert (response.status_code, response.json()["error"]["param"]) == (400, param)


@pytest.mark.parametrize("asked", [None, "url", "b64_json"])
@pytest.mark.parametrize("by_url", [False, True])
async def test_the_response_format_is_honoured_whatever_the_upstream_sends(
    asked: str | None, by_url: bool, upstream: LoopbackServer
) -> None:
    async with (
        loopback_server(_serves(GREEN)) as host,
        running_gateway(upstream_url=upstream.v1, fetch_allow=(host.origin,)) as gateway,
    ):
        upstream.respond = answers_images(f"{host.origin}/made.png" if by_url else GREEN)
        fields = {} if asked is None else {"response_format": asked}

        response = await gateway.client.post(GENERATIONS, json=a_generation(**fields))

        key = asked or ("url" if by_url else "b64_json")
        assert response.json()["data"] == [{key: data_url(GREEN) if key == "url" else b64(GREEN)}]
        assert upstream.received[0].json().get("response_format") == asked


def _serves(image: bytes) -> Any:
    async def respond(request: Any, wire: Any) -> None:
        await wire.answer(200, image, content_type="image/png")

    return respond


CATALOG = """
[[upstreams]]
name = "here"
url = "{url}"

[[upstreams]]
name = "there"
url = "{other}"

[[models]]
id = "painter"
upstreams = ["here", "there"]
images_out = true
input_per_million = 5.0
image_per_million = 10.0
output_per_million = 40.0
max_output = 1000

[[models]]
id = "writer"
upstream = "here"
"""


def catalog(folder: Path, upstream: LoopbackServer, other: str = "http://127.0.0.1:9/v1") -> Path:
    path = folder / "models.toml"
    path.write_text(CATALOG.format(url=upstream.v1, other=other))
    return path


async def test_a_model_without_images_out_is_refused_with_those_that_have_it(
    tmp_path: Path, upstream: LoopbackServer
) -> None:
    async with running_gateway(models=catalog(tmp_path, upstream)) as gateway:
        response = await gateway.client.post(GENERATIONS, json=a_generation(model="writer"))
        listed = await gateway.client.get("/api/models")

    error = response.json()["error"]
    assert (response.status_code, error["code"], error["param"]) == (400, "unsupported_operation", "model")
    assert "painter" in error["message"]
    outputs = {model["id"]: model["modalities"]["output"] for model in listed.json()["data"]}
    assert outputs == {"painter": ["text", "image"], "writer": ["text"]}


async def test_the_next_upstream_is_asked_and_the_cost_is_that_of_images(
    tmp_path: Path, upstream: LoopbackServer
) -> None:
    async with loopback_server(answers_images(GREEN)) as other:
        upstream.respond = hangs_up
        async with running_gateway(models=catalog(tmp_path, upstream, other.v1)) as gateway:
            response = await gateway.client.post(
                GENERATIONS, json=a_generation(model="painter"), headers={"x-obscura-cost": "true"}
            )
            used = await gateway.client.get("/api/usage?by=model")

    assert response.headers["x-obscura-upstream"] == "there"
    cost = (20 * 5 + 40 * 10 + 100 * 40) / 1_000_000
    assert response.json()["usage"] == USAGE | {"estimated_cost_usd": cost}
    [row] = used.json()["data"]
    assert (row["model"], row["images"], row["image_tokens"], row["output_tokens"]) == ("painter", 1, 40, 100)
    assert row["estimated_cost_usd"] == cost


async def test_a_budget_reserves_the_models_limit_for_each_image(tmp_path: Path, upstream: LoopbackServer) -> None:
    upstream.respond = answers_images(GREEN, GREEN, usage=None)
    async with running_gateway(models=catalog(tmp_path, upstream)) as gateway:
        headers = await gateway.headers_of("spender", budgets=parse_budgets("tokens/day=4000"))
        responses = [
            await gateway.client.post(GENERATIONS, json=a_generation(model="painter", n=count), headers=headers)
            for count in (5, 2, 3)
        ]

    codes = [response.json().get("error", {}).get("code") for response in responses]
    assert codes == ["quota_exceeded", None, "quota_exceeded"]


async def test_scopes_dry_runs_and_the_free_tier(gateway: Gateway, upstream: LoopbackServer) -> None:
    upstream.respond = answers_images(GREEN)
    chatting = await gateway.headers_of("a", scopes=frozenset({KeyScope.CHAT}))

    async def code(headers: dict[str, str], client: httpx.AsyncClient = gateway.client) -> object:
        response = await client.post(GENERATIONS, json=a_generation(), headers=headers)
        return response.json().get("error", {}).get("code")

    assert await code(chatting) == "permission_denied"
    assert await code({"x-obscura-dry-run": "true"}) == "unsupported_operation"
    async with httpx.AsyncClient(base_url=gateway.url) as anonymous:
        assert [await code({"x-free-tier": "true"}, anonymous) for _ in range(2)] == [None, "free_tier_exhausted"]


async def test_zero_retention_says_so_and_takes_no_stored_file(gateway: Gateway, upstream: LoopbackServer) -> None:
    upstream.respond = answers_images(GREEN)
    stored = await gateway.client.post("/v1/files", files={"file": ("a.png", GREEN)}, data={"purpose": "vision"})
    headers, file_id = {"x-zero-retention": "true"}, stored.json()["id"]

    plain = await gateway.client.post(GENERATIONS, json=a_generation(), headers=headers)
    refusals = [
        await gateway.client.post(path, json=a_generation(**fields), headers=headers)
        for path, fields in ((GENERATIONS, {"file_id": file_id}), (EDITS, {"images": [{"file_id": file_id}]}))
    ]

    assert (plain.status_code, plain.headers["x-zero-retention"]) == (200, "true")
    assert [refusal.json()["error"]["code"] for refusal in refusals] == ["retention_conflict"] * 2


@pytest.mark.parametrize(
    "answer",
    [b"not json", b"[]", b'{"data": []}', b'{"data": [{}]}', b'{"data": [{"b64_json": 7}]}', b'{"created": 1}'],
)
async def test_an_answer_that_cannot_be_read_is_the_upstreams_fault(
    answer: bytes, gateway: Gateway, upstream: LoopbackServer
) -> None:
    upstream.respond = answers(answer)

    response = await gateway.client.post(GENERATIONS, json=a_generation())

    assert (response.status_code, response.json()["error"]["code"]) == (502, "upstream_error")


async def test_an_upstreams_refusal_is_passed_on(gateway: Gateway, upstream: LoopbackServer) -> None:
    error = {"message": "Unknown parameter: 'image_url'.", "type": "invalid_request_error", "param": "image_url"}
    upstream.respond = answers(json.dumps({"error": error}).encode(), 400)

    response = await gateway.client.post(GENERATIONS, json=a_generation())

    assert (response.status_code, response.json()["error"]["message"]) == (400, error["message"])
