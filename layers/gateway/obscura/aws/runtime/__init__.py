"""Streaming runtime: ``python -m obscura.aws.runtime`` runs in place of AWS's own, which cannot stream (ADR 50).

``loop`` takes one invocation after the other from ``api`` (the Lambda Runtime API), and ``asgi_bridge`` runs the
application on it, all in one event loop.
"""
