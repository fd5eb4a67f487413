"""Whom we ask: the models behind the gateway."""
