"""What ``benchmarks.lambda_`` is made of: the floor, a stand-in Runtime API, an upstream; cold and warm figures."""
