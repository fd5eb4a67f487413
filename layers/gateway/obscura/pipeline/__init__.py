"""Pipeline: the one road that every request takes, in the words of ports, imaging, wire and policy."""
