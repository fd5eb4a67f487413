"""Lambda entry of the usage family."""

from obscura.api.routers import usage
from obscura.aws.handler import make_handler

handler = make_handler(usage.FAMILY)
