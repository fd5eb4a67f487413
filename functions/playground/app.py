"""Lambda entry of the playground family."""

from obscura.api.routers import playground
from obscura.aws.handler import make_handler

handler = make_handler(playground.FAMILY)
