"""Lambda entry of the inspect family."""

from obscura.api.routers import inspect
from obscura.aws.handler import make_handler

handler = make_handler(inspect.FAMILY)
