"""`make bench`: what is fast, how much faster than the usual way, and what grows how; every comparison side by side in
one process."""
