"""What ``benchmarks.lambda_`` is made of: built artefacts, the floor, a stand-in Runtime API, cold and warm figures."""
