"""One worker script a framework: the same few questions, answered each in its own process and interpreter."""
