"""A model at work: files in, records out."""
