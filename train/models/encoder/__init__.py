"""Training the encoder: a transformer that reads segments, a network that reads the page."""
