"""Rehearsal: the deployment without an account, from the template to answered requests."""
