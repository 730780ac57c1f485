"""Lessons on the page: the box that leads, the light, and where the learner is."""
