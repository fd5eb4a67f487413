"""The playground's files: open to all callers, confined by their headers, and cached by their version."""

import base64
import hashlib
import json
import re

import httpx
import pytest

from obscura.api.routers.playground import ASSETS
from obscura.pages.local_checks import CHECKS
from tests.support.example_images import EXAMPLES, encoded
from tests.support.gateway import Gateway
from tests.support.playground_checks import generate

MAX_PAGE_BYTES = 90_000


async def test_the_page_needs_no_credential_and_counts_no_request(demo_gateway: Gateway) -> None:
    chat = {"model": "obscura-demo", "messages": [{"role": "user", "content": "Hello"}]}
    async with httpx.AsyncClient(base_url=demo_gateway.url, trust_env=False) as anonymous:
        pages = [await anonymous.get(path) for path in ("/", "/", "/playground/limits.json")]
        free = await anonymous.post("/v1/chat/completions", json=chat, headers={"x-free-tier": "true"})

    assert [page.status_code for page in pages] == [200, 200, 200]
    assert pages[0].headers["content-type"] == "text/html; charset=utf-8"
    assert free.status_code == 200


async def test_a_policy_confines_the_page(demo_gateway: Gateway) -> None:
    response = await demo_gateway.client.get("/")
    policy = response.headers["content-security-policy"]

    assert "default-src 'none'" in policy
    assert "unsafe" not in policy
    [style] = re.findall(r"<style>(.*?)</style>", response.text, re.DOTALL)
    assert f"style-src 'sha256-{base64.b64encode(hashlib.sha256(style.encode()).digest()).decode()}'" in policy
    assert "http" not in policy
    assert response.headers["x-content-type-options"] == "nosniff"


async def test_the_page_is_revalidated_and_its_files_are_immutable(demo_gateway: Gateway) -> None:
    page = await demo_gateway.client.get("/")
    again = await demo_gateway.client.get("/", headers={"if-none-match": page.headers["etag"]})
    for path in re.findall(r'(?:src|href)="(playground/[^"]+)"', page.text):
        response = await demo_gateway.client.get(f"/{path}")

        assert response.status_code == 200, path
        assert "immutable" in response.headers["cache-control"]
    assert (again.status_code, again.content) == (304, b"")
    assert "no-cache" in page.headers["cache-control"]


@pytest.mark.parametrize("path", ["0000000000000000/app.js", "{version}/unknown.js", "{version}/..%2Fapp.js"])
async def test_another_version_or_file_is_not_found(path: str, demo_gateway: Gateway) -> None:
    response = await demo_gateway.client.get(f"/playground/{path.replace('{version}', ASSETS.version)}")

    assert (response.status_code, response.json()["error"]["code"]) == (404, "not_found")


def test_no_file_names_another_origin() -> None:
    for name, asset in {"index.html": ASSETS.document, **ASSETS.files}.items():
        if name.endswith((".html", ".css", ".js")):
            text = asset.data.decode().replace("http://www.w3.org/2000/svg", "")

            assert re.findall(r"(?:https?:)?//[a-z0-9-]+\.[a-z]", text) == [], name
            assert not re.search(
                r"innerHTML|outerHTML|insertAdjacentHTML|document\.write|localStorage|\beval\b", text
            ), name


def test_markup_scripts_and_styles_stay_small() -> None:
    sizes = {name: len(asset.data) for name, asset in ASSETS.files.items() if name.endswith((".css", ".js"))}

    assert sum(sizes.values()) + len(ASSETS.document.data) <= MAX_PAGE_BYTES, sizes
    assert all(asset.data.count(b"\n") <= 320 for asset in ASSETS.files.values())


def test_the_checks_of_the_page_are_those_of_the_code() -> None:
    assert json.loads(CHECKS.read_text()) == generate(), "python -m tests.support.playground_checks writes them"


@pytest.mark.parametrize("name", EXAMPLES)
def test_an_example_is_what_its_script_draws(name: str) -> None:
    assert ASSETS.files[name].data == encoded(name), "python -m tests.support.example_images draws them"


@pytest.mark.gateway(max_image_bytes=1234, max_images=3)
async def test_the_limits_are_those_of_the_deployment(demo_gateway: Gateway) -> None:
    served = (await demo_gateway.client.get("/playground/limits.json")).json()

    assert (served["limits"]["image_bytes"], served["limits"]["images"]) == (1234, 3)
    assert served["messages"]["unknown_format"]["text"].endswith(
        "Send a PNG, JPEG, WEBP, GIF, AVIF, HEIC, TIFF or BMP."
    )
