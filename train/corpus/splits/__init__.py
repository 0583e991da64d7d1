"""Parts by site, near duplicates, and what leaks between parts."""
