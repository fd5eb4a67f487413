"""Messages requests as chat completions: a tree made of the body's own leaves, spliced wherever they can be."""
