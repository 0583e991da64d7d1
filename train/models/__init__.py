"""Two families behind one interface: fit on pages, answer with a reader that the runtime can run."""
