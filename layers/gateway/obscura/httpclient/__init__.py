"""One HTTP/1.1 client on httptools: for upstreams, as a transport of httpx, and for Lambda's Runtime API.

httpx's own transport spends over half of the gateway's CPU on a text request in its connection pool and its parser
(ADR 5). ``connection`` knows nothing of httpx, so that the Lambda runtime starts without importing it.
"""
