"""Whether labelled pages can be trusted: named rules, checks, swapped labels."""
