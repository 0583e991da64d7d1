"""Scores, intervals, reliability and slices of labelled pages."""
