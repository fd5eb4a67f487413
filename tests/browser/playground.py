"""The playground as a person uses it: opens it, adds images, sends, reads the answer."""

import base64
from collections.abc import Sequence
from typing import Any

from playwright.async_api import FilePayload, Locator, Page

from tests.support.gateway import Gateway

OVER = "[data-state=done], [data-state=failed], [data-state=stopped]"
_TRANSFER = """([kind, files]) => {
  const transfer = new DataTransfer();
  for (const { name, type, data } of files) {
    const bytes = Uint8Array.from(atob(data), (one) => one.charCodeAt(0));
    transfer.items.add(new File([bytes], name, { type }));
  }
  const event = kind === "paste"
    ? new ClipboardEvent("paste", { clipboardData: transfer, bubbles: true, cancelable: true })
    : new DragEvent(kind, { dataTransfer: transfer, bubbles: true, cancelable: true });
  document.body.dispatchEvent(event);
}"""


def a_file(name: str, data: bytes, media_type: str = "image/png") -> FilePayload:
    return {"name": name, "mimeType": media_type, "buffer": data}


class Playground:
    """One open playground; ``requests`` are the URLs of all that the browser has requested."""

    def __init__(self, page: Page, gateway: Gateway) -> None:
        self.page = page
        self.gateway = gateway
        self.requests: list[str] = []
        page.on("request", lambda request: self.requests.append(request.url))

    async def open(self, *, key: bool = True) -> "Playground":
        await self.page.goto(self.gateway.url + "/")
        await self.page.wait_for_selector("body[data-ready]")
        if key:
            await self.page.fill("#key", self.gateway.key)
            await self.page.press("#key", "Tab")
        else:
            await self.page.check("[value=free]")
        await self.page.fill("#model", "m")
        return self

    async def transfer(self, kind: str, files: Sequence[FilePayload]) -> None:
        """Drop or paste files."""
        sent = [
            {"name": file["name"], "type": file["mimeType"], "data": base64.b64encode(file["buffer"]).decode()}
            for file in files
        ]
        await self.page.evaluate(_TRANSFER, [kind, sent])

    async def choose(self, *files: FilePayload) -> None:
        await self.page.set_input_files("#files", files)

    def thumbnail(self, number: int = 1) -> Locator:
        return self.page.locator(f".thumbnail:nth-child({number})")

    async def images(self, count: int = 1) -> None:
        """Wait until so many images show."""
        await self.page.wait_for_selector(f".thumbnail:nth-child({count}) img")

    async def problem(self, number: int = 1) -> str:
        return await self.thumbnail(number).locator(".problem").inner_text()

    async def refused(self) -> str:
        """Send what the page refuses; return what it says, after nothing was sent."""
        before = self.sent()
        await self.page.click("#send")
        await self.page.wait_for_selector("#request-problem:not(:empty)")
        assert self.sent() == before
        return await self.page.inner_text("#request-problem")

    def sent(self) -> int:
        """Return how many requests for an answer the browser has sent."""
        return sum("/v1/" in url for url in self.requests)

    async def ask(self, text: str = "What is it?") -> Locator:
        """Send, and return the newest answer once it is over."""
        await self.page.fill("#text", text)
        before = await self.page.locator(".run").count()
        await self.page.click("#send")
        await self.page.wait_for_selector(f".run >> nth={before}")
        return await self.answer()

    async def answer(self, number: int = 1) -> Locator:
        newest = self.page.locator(f".run:first-child .answer:nth-child({number})")
        await self.page.wait_for_selector(f".run:first-child .answer:nth-child({number}):is({OVER})")
        return newest

    async def figures(self, answer: Locator) -> dict[str, str]:
        names = await answer.locator("dt").all_inner_texts()
        return dict(zip(names, await answer.locator("dd").all_inner_texts(), strict=True))

    async def kept(self) -> dict[str, Any]:
        """Return what outlives the page: storage, cookies, the URL."""
        kept: dict[str, Any] = await self.page.evaluate(
            "() => ({local: localStorage.length, session: sessionStorage.length,"
            " cookies: document.cookie, url: location.href})"
        )
        return kept | {"all_cookies": await self.page.context.cookies()}
