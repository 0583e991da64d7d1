"""Whether what comes in has changed."""
