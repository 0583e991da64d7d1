"""Where labels are probably wrong, and which pages to label next."""
