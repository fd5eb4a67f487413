"""TIFF through Pillow, which calls libtiff for what is compressed; it gets what the scan of a TIFF has written."""

import sys

from PIL import Image
from PIL.TiffImagePlugin import TiffImageFile

_STRIP_PIXELS = 1 << 20


class TiffPage(TiffImageFile):
    """A TIFF of Pillow's; big-endian grey of 16 bits becomes grey of 8, which Pillow cannot convert by itself."""

    def load_end(self) -> None:
        """Take the high byte of each sample, in strips."""
        if self.mode != "I;16B":
            return
        # libtiff has brought the samples of a compressed image to this machine's order; Pillow calls them big-endian.
        raw = "L;16B" if self._compression == "raw" or sys.byteorder == "big" else "L;16"
        grey = Image.new("L", self.size)
        rows = max(1, _STRIP_PIXELS // self.width)
        for top in range(0, self.height, rows):
            box = (0, top, self.width, min(top + rows, self.height))
            samples = Image.Image.crop(self, box).tobytes()
            grey.paste(Image.frombytes("L", (self.width, box[3] - top), samples, "raw", raw), box)
        self.im, self._mode = grey.im, "L"
