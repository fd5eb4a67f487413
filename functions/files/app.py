"""Lambda entry of the files family."""

from obscura.aws.entry import lambda_entry
from obscura.web.families import files

handler = lambda_entry(files)
