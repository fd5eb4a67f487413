"""HTTP/1.1 to the upstream, as a transport for httpx: lean where a gateway spends its time.

httpx's own transport spends over half of the gateway's CPU on a text request in its connection pool and a parser in
Python (docs/decisions/0005); this one parses with httptools, and its pool is a stack of idle connections.
"""
