"""Public collections: repositories at pinned commits, fetched with git and converted to our pages."""
