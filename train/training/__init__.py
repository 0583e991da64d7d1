"""One run, and cross-validation."""
