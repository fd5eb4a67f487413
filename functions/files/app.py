"""Lambda entry of the files family."""

from obscura.api.routers import files
from obscura.aws.handler import make_handler

handler = make_handler(files.FAMILY)
