"""Policies that a team owns: documents, matching, decisions and their rollout, as pure functions without I/O."""
