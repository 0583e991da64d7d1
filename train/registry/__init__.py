"""Versions of a model, the gate before they serve, promotion and rollback."""
