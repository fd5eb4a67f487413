"""Parts of ``benchmarks.lambda_``: the floor, a stand-in Runtime API, an upstream; cold and warm figures."""
