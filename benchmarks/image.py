"""What preparing an image costs, step by step beside its floor: ``python -m benchmarks.image``.

Each JPEG has EXIF orientation 6, as a phone writes it. Nothing is asserted; absolute times are this machine's.
"""

import argparse
import io
import statistics
import sys
import threading
import time
from collections.abc import Callable
from functools import partial

import numpy as np
from PIL import Image
from skimage.metrics import structural_similarity

from benchmarks.photographs import SOFTNESS, file_of, photographs, tiled
from obscura.imaging import Detail, prepare, warm_up
from obscura.imaging.decode import decode
from obscura.imaging.encode import encode
from obscura.imaging.prepare import scan
from obscura.imaging.resize import decode_scale, resize_upright, target_size

SIZES = ((2400, 1700), (4000, 3000), (6000, 4000), (6720, 4480), (8000, 6000))
RATIOS = (1.05, 1.5, 2.05, 2.31, 3.0, 4.05, 4.6875, 6.25, 8.05, 10.81)


def main() -> None:
    arguments = argparse.ArgumentParser(description=__doc__)
    arguments.add_argument("--runs", type=int, default=5)
    runs = arguments.parse_args().runs
    warm_up()
    images = dict(photographs())
    if not images:
        sys.exit("scikit-image's photographs are not on this disk.")
    print(
        f"Photographs of scikit-image, enlarged {SOFTNESS} x and tiled by code to the sizes named. Medians of {runs}."
    )
    print("Longest side to 1280 px. floor = Pillow's draft + load, its LANCZOS, its encode, called bare.\n")
    print_jpeg_steps(images["motorcycle_left.png"], runs)
    print_other_formats(images["motorcycle_left.png"], max(1, runs // 2))
    print_similarity(images)


def print_jpeg_steps(image: Image.Image, runs: int) -> None:
    columns = ("JPEG", "MB", "walk", "decode", "(floor)", "resize", "(floor)", "encode", "(floor)", "whole", "(floor)")
    print(" ".join(f"{column:>8}" for column in columns), "   ratio  longest wait of another thread")
    for width_px, height_px in SIZES:
        exif = Image.Exif()
        exif[0x0112] = 6
        data = file_of(tiled(image, width_px, height_px), "JPEG", quality=93, exif=exif)
        info = scan(data)
        size = target_size(width_px, height_px, Detail.AUTO.longest_side_px, 200)
        scale = decode_scale(info, size)
        scaled = (width_px // scale, height_px // scale)
        small = decode(data, info, scale)
        done = resize_upright(small, info, size, scale)
        floor_small = bare_decode(data, scaled)
        steps: tuple[Callable[[], object], ...] = (
            partial(scan, data),
            partial(decode, data, info, scale),
            partial(bare_decode, data, scaled),
            partial(resize_upright, small, info, size, scale),
            partial(floor_small.resize, size, Image.Resampling.LANCZOS),
            partial(encode, done, info.source_format),
            partial(file_of, done, "JPEG", quality=90),
            partial(prepare, data),
            partial(bare_pipeline, data, scaled, size),
        )
        medians = medians_ms(steps, runs)
        row = [f"{width_px * height_px / 1e6:.0f} Mpx", f"{len(data) / 1e6:.1f}", *(f"{ms:.1f}" for ms in medians)]
        wait = longest_wait_ms(partial(prepare, data))
        print(" ".join(f"{cell:>8}" for cell in row), f"{medians[-2] / medians[-1]:8.2f}  {wait:.1f} ms")


def print_other_formats(image: Image.Image, runs: int) -> None:
    large = tiled(image, 4000, 3000)
    with_alpha = large.copy()
    with_alpha.putalpha(large.convert("L"))
    random = np.random.default_rng(1)
    noise = Image.fromarray(random.integers(0, 256, (1281, 1281, 4), dtype=np.uint8))
    plain = Image.new("RGB", (2049, 2049), (10, 20, 30))
    files = {
        "PNG 12 Mpx": file_of(large, "PNG", compress_level=1),
        "PNG 12 Mpx alpha": file_of(with_alpha, "PNG", compress_level=1),
        "PNG noise 1281 px alpha": file_of(noise, "PNG", compress_level=1),
        "PNG plain 2049 px": file_of(plain, "PNG", compress_level=1),
        "WEBP 12 Mpx": file_of(large, "WEBP", method=0),
        "GIF 12 Mpx": file_of(large.convert("P"), "GIF"),
        "JPEG plain 2049 px": file_of(plain, "JPEG"),
    }
    print(f"\n{'others, ms':>24}   decode   resize   encode    whole  as          longest wait of a second thread")
    for name, data in files.items():
        detail = Detail.HIGH if "plain" in name else Detail.AUTO
        (whole_ms,) = medians_ms((partial(prepare, data, detail),), runs)
        one = prepare(data, detail)
        wait = longest_wait_ms(partial(prepare, data, detail))
        print(
            f"{name:>24} {one.decode_ms:8.1f} {one.resize_ms:8.1f} {one.encode_ms:8.1f} {whole_ms:8.1f}  "
            f"{one.media_type:10}  {wait:.1f} ms"
        )


def print_similarity(images: dict[str, Image.Image]) -> None:
    print(f"\nSSIM against full decode + LANCZOS, by ratio, tiles of 4 Mpx ({SOFTNESS} x): resized; as sent")
    print(f"{'':>22}", " ".join(f"{ratio:>12}" for ratio in RATIOS))
    worst = 1.0
    for name, image in images.items():
        data = file_of(tiled(image, 2400, 1700), "JPEG", quality=93)
        info = scan(data)
        full = decode(data, info)
        cells = []
        for ratio in RATIOS:
            size = target_size(info.width_px, info.height_px, round(info.width_px / ratio), 200)
            reference = full.resize(size, Image.Resampling.LANCZOS)
            scale = decode_scale(info, size)
            ours = resize_upright(decode(data, info, scale), info, size, scale)
            sent = Image.open(io.BytesIO(encode(ours, info.source_format)[0]))
            resized_ssim = similarity(ours, reference)
            worst = min(worst, resized_ssim)
            cells.append(f"{resized_ssim:.4f};{similarity(sent, reference):.3f}")
        print(f"{name:>22}", " ".join(f"{cell:>12}" for cell in cells))
    print(f"worst, resized: {worst:.4f}")


def bare_decode(data: bytes, scaled: tuple[int, int]) -> Image.Image:
    image = Image.open(io.BytesIO(data), formats=["JPEG"])
    image.draft(None, scaled)
    image.load()
    return image


def bare_pipeline(data: bytes, scaled: tuple[int, int], size: tuple[int, int]) -> bytes:
    return file_of(bare_decode(data, scaled).resize(size, Image.Resampling.LANCZOS), "JPEG", quality=90)


def similarity(one: Image.Image, other: Image.Image) -> float:
    return float(structural_similarity(np.asarray(one), np.asarray(other), channel_axis=2))  # type: ignore[no-untyped-call] # scikit-image


def medians_ms(steps: tuple[Callable[[], object], ...], runs: int) -> list[float]:
    """Return the medians of the steps, which take turns so that drift hits all alike."""
    elapsed_ms: list[list[float]] = [[] for _ in steps]
    for _ in range(runs):
        for step, times in zip(steps, elapsed_ms, strict=True):
            began_s = time.perf_counter()
            step()
            times.append((time.perf_counter() - began_s) * 1e3)
    return [statistics.median(times) for times in elapsed_ms]


def longest_wait_ms(work: Callable[[], object]) -> float:
    """Return the longest wait of a second thread that needs the interpreter every half millisecond."""
    best = float("inf")
    for _ in range(3):
        thread = threading.Thread(target=work)
        longest_s = 0.0
        thread.start()
        while thread.is_alive():
            began_s = time.perf_counter()
            time.sleep(0.0005)
            longest_s = max(longest_s, time.perf_counter() - began_s - 0.0005)
        thread.join()
        best = min(best, longest_s)
    return best * 1e3


if __name__ == "__main__":
    main()
