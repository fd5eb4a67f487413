"""Draw the playground's example images: ``python -m tests.support.example_images``.

They are ours: a chart, a receipt, a sign, handwriting, and the image that the demo moderation blocks.
"""

import io
import math
import random
from collections.abc import Callable
from pathlib import Path

from PIL import Image, ImageDraw, ImageFont

from obscura import pages

FOLDER = Path(pages.__path__[0]) / "playground"
INK, PAPER = (38, 38, 46), (252, 250, 245)


def chart() -> Image.Image:
    """Draw visitors of a museum by month, as bars."""
    image = Image.new("RGB", (640, 420), "white")
    draw = ImageDraw.Draw(image)
    draw.text((40, 24), "Visitors in 2025, thousands", INK, ImageFont.load_default(26))
    for line in range(5):
        y = 350 - line * 65
        draw.line((70, y, 610, y), (216, 218, 224), 1)
        draw.text((30, y - 9), f"{line * 10}", (110, 112, 120), ImageFont.load_default(16))
    months = {"Jan": 12, "Feb": 15, "Mar": 22, "Apr": 27, "May": 34, "Jun": 39, "Jul": 31}
    for index, (month, value) in enumerate(months.items()):
        x = 85 + index * 75
        colour = (198, 91, 42) if month == "Jun" else (61, 108, 164)
        draw.rectangle((x, 350 - value * 6.5, x + 46, 350), colour)
        draw.text((x + 8, 360), month, INK, ImageFont.load_default(17))
    return image


def receipt() -> Image.Image:
    """Draw a receipt on a table, a little askew."""
    paper = Image.new("RGB", (340, 470), PAPER)
    draw = ImageDraw.Draw(paper)
    font, bold = ImageFont.load_default(19), ImageFont.load_default(28)
    draw.text((82, 24), "CAFE LUCIDA", INK, bold)
    draw.text((100, 62), "12 June, 09:41", INK, font)
    items = {"2 x Espresso": "5.20", "1 x Flat white": "3.90", "1 x Almond tart": "4.75", "Tap water": "0.00"}
    for index, (item, price) in enumerate(items.items()):
        draw.text((30, 120 + index * 38), item, INK, font)
        draw.text((262, 120 + index * 38), price, INK, font)
    draw.line((30, 286, 310, 286), INK, 2)
    draw.text((30, 304), "TOTAL  EUR", INK, bold)
    draw.text((244, 304), "13.85", INK, bold)
    draw.text((70, 400), "Thank you, come again", INK, font)
    table = Image.new("RGB", (480, 600), (142, 108, 82))
    turned = paper.rotate(-4, resample=Image.Resampling.BICUBIC, expand=True, fillcolor=(142, 108, 82))
    table.paste(turned, (50, 50))
    return table


def sign() -> Image.Image:
    """Draw a direction sign before hills."""
    image = Image.new("RGB", (640, 480), (188, 218, 238))
    draw = ImageDraw.Draw(image)
    draw.ellipse((-120, 300, 420, 760), (122, 158, 110))
    draw.ellipse((220, 330, 860, 800), (96, 136, 92))
    draw.rectangle((312, 250, 328, 470), (92, 92, 96))
    draw.rounded_rectangle((120, 90, 520, 270), 18, (22, 84, 58), "white", 6)
    draw.text((158, 112), "Old Harbour", "white", ImageFont.load_default(46))
    draw.text((158, 186), "3 km", "white", ImageFont.load_default(46))
    draw.polygon(((420, 204), (466, 204), (466, 190), (492, 214), (466, 238), (466, 224), (420, 224)), "white")
    return image


def handwriting() -> Image.Image:
    """Draw a note whose letters sway, on ruled paper."""
    image = Image.new("RGB", (620, 380), PAPER)
    draw = ImageDraw.Draw(image)
    for y in range(80, 380, 62):
        draw.line((0, y, 620, y), (190, 208, 232), 2)
    draw.line((70, 0, 70, 380), (232, 160, 160), 2)
    sway = random.Random(4)  # noqa: S311 the same letters at each run
    for line, words in enumerate(
        (
            "Milk, bread, two lemons",
            "Call Ada about the lens",
            "Camera at noon, north light",
            "Key is under the blue pot",
        )
    ):
        x = 86.0
        for letter in words:
            glyph = Image.new("RGBA", (48, 60))
            size = 31 + sway.randint(-2, 2)
            ImageDraw.Draw(glyph).text((10, 12), letter, (32, 46, 110, 255), ImageFont.load_default(size))
            slanted = glyph.transform(
                glyph.size, Image.Transform.AFFINE, (1, 0.28, -9, 0, 1, 0), Image.Resampling.BICUBIC
            )
            turned = slanted.rotate(sway.uniform(-7, 7), resample=Image.Resampling.BICUBIC)
            top = 28 + line * 62 + round(3 * math.sin(x / 40)) + sway.randint(-1, 1)
            image.paste(turned, (round(x) - 10, top), turned)
            x += ImageFont.load_default(size).getlength(letter) + sway.uniform(0, 1.6)
    return image


def moderation_test() -> Image.Image:
    """Draw the plain field of magenta that the demo moderation blocks."""
    return Image.new("RGB", (96, 96), (255, 0, 255))


EXAMPLES: dict[str, Callable[[], Image.Image]] = {
    "example-chart.png": chart,
    "example-receipt.jpg": receipt,
    "example-sign.png": sign,
    "example-handwriting.png": handwriting,
    "example-moderation-test.png": moderation_test,
}


def encoded(name: str) -> bytes:
    """Return the file of an example."""
    target, image = io.BytesIO(), EXAMPLES[name]()
    if name.endswith(".jpg"):
        image.save(target, "JPEG", quality=82, optimize=True)
    else:
        image.quantize(64, dither=Image.Dither.NONE).save(target, "PNG", optimize=True)
    return target.getvalue()


def main() -> None:
    """Write the files."""
    for name in EXAMPLES:
        (FOLDER / name).write_bytes(encoded(name))


if __name__ == "__main__":
    main()
