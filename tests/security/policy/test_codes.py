"""QR codes in images go by the rules for hosts and terms; without a reader no such rule is saved."""

import io
import sys
from typing import Any

import pytest
import zxingcpp
from PIL import Image

from tests.support.gateway import Gateway, chat_request, image_part
from tests.support.image_urls import data_url
from tests.support.policies import save
from tests.support.policy_admin import an_admin, error_of
from tests.unit.imaging.images import a_photograph

CHAT = "/policy/v1/chat/completions"


def a_code(said: str, *, turned: bool = False) -> bytes:
    """A photograph with a QR code in it."""
    code = zxingcpp.create_barcode(said, zxingcpp.BarcodeFormat.QRCode)
    drawn = Image.fromarray(code.to_image(scale=4, add_quiet_zones=True)).convert("RGB")
    with Image.open(io.BytesIO(a_photograph(600, 500, "JPEG"))) as photograph:
        photograph.paste(drawn.rotate(30 if turned else 0, expand=True, fillcolor="white"), (60, 60))
        saved = io.BytesIO()
        photograph.save(saved, "JPEG")
    return saved.getvalue()


@pytest.mark.parametrize(
    ("images", "rules", "said", "rule"),
    [
        ({"qr": "refuse"}, {}, "anything", "policy.images.qr"),
        ({"qr": "refuse"}, {}, None, None),
        ({"qr": "check", "denied_hosts": ["bad.example"]}, {}, "https://a.bad.example", "policy.images.denied_hosts"),
        ({"qr": "check", "denied_hosts": ["bad.example"]}, {}, "https://good.example/x", None),
        ({"qr": "check"}, {"denylist": ["wire transfer"]}, "send a wire transfer", "policy.images.qr"),
        ({"qr": "ignore", "denied_hosts": ["bad.example"]}, {}, "https://bad.example", None),
    ],
)
@pytest.mark.parametrize("turned", [False, True])
async def test_a_code_is_read(
    gateway: Gateway, images: dict[str, Any], rules: dict[str, Any], said: str | None, rule: str | None, *, turned: bool
) -> None:
    await save(gateway, images=images, rules=rules)
    image = a_photograph(600, 500, "JPEG") if said is None else a_code(said, turned=turned)

    asked = chat_request(image_part(data_url(image, "image/jpeg")), policy_id="p1")
    response = await gateway.client.post(CHAT, json=asked)

    assert response.json()["policy"]["rule"] == rule
    assert said is None or said not in response.text


async def test_a_rule_about_codes_is_not_saved_without_a_reader(
    gateway: Gateway, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "zxingcpp", None)
    admin = await an_admin(gateway)

    refused = await admin.save(images={"qr": "check"})

    assert error_of(refused) == (400, "invalid_request", "images.qr")
    assert "obscura[qr]" in refused.json()["error"]["message"]
