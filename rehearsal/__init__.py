"""Rehearsal: deploys the template without an account, from its translation to responses of the built functions."""
