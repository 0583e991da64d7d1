"""Experiments over many trainings: settings, ablations, transfer between corpora, learning curves."""
