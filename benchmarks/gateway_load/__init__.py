"""Load for ``benchmarks.gateway``: the same requests to several gateways, all before one fake upstream."""
