"""Pages for a browser: static files, served as they are, with the headers that confine them."""
