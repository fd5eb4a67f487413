"""The demo: a model and a moderator without a network, so that the whole road runs on a laptop with no key."""

from obscura.adapters.demo.model import DemoModel
from obscura.adapters.demo.moderation import DemoModerator

__all__ = ["DemoModel", "DemoModerator"]
