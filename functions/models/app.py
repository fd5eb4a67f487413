"""Lambda entry of the models family."""

from obscura.aws.entry import lambda_entry
from obscura.web.families import models

handler = lambda_entry(models)
