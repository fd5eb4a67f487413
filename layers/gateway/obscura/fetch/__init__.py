"""Guarded fetch of image URLs: no URL can make Obscura connect to a host that only Obscura can reach.

The steps of one fetch:

    policy      the URL: odd spellings are rejected, the rest is parsed once; then the rules on scheme, host and port
    network     resolve the name, check every address (``addresses``), connect to an address that was checked
    response    one GET on a connection of its own (ADR 2), its body limited while it arrives
    fetcher     redirects, each of them checked like the first URL, and one time limit over everything
"""
