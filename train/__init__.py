"""newsparts: label the segments of news pages as main story, related item or boilerplate, and name each story's
topic."""

__version__ = "0.1.0"
