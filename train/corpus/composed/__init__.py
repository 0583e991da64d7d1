"""Labelled pages composed of real articles on invented sites (`compose`)."""
