"""The timeline of what was generated: scrub, branch, compare."""
