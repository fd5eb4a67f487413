"""Lambda entry of the models family."""

from obscura.api.routers import models
from obscura.aws.handler import make_handler

handler = make_handler(models.FAMILY)
