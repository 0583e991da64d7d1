"""Training the TF-IDF baseline."""
