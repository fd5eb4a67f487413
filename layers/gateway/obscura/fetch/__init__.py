"""Image bytes behind https URLs, fetched so that no URL can reach what only Obscura can reach (port ``ImageSource``).

The road of one fetch, each step in the file of its name:

    image_url      the spelling: refused when odd, else parsed once into the parts that every later step uses
    destination    the rules on scheme, host and port
    connect        resolve the name, check every address (``addresses``), connect to an address that was checked
    exchange       one GET on a connection of its own; ``body`` counts what comes back
    fetch          redirects, each of them a URL like the first, and one time limit over it all
"""
