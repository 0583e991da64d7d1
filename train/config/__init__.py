"""A run as data: every key, its type and range, and how a file becomes one."""
