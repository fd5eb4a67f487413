"""The streaming runtime: ``python -m obscura.aws.runtime`` takes the place of AWS's own, which cannot stream.

It speaks the Lambda Runtime API ("Using the Lambda runtime API for custom runtimes", response streaming included):
``connection`` → ``api`` → ``life``, which serves one invocation after the other with ``exchange`` in one event loop.
"""
