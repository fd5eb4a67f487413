"""Lambda entry of the images family."""

from obscura.api.routers import images
from obscura.aws.handler import make_handler

handler = make_handler(images.FAMILY)
