"""Searches of settings, by one process or many."""
