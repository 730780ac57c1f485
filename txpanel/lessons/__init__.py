"""Lessons: texts that drive the page, and questions whose right answers are computed from the run on screen.

A lesson is a folder with one Markdown file per language; how it is written: docs/lessons.md. `reading` makes a `Lesson` of it, `values` what its
sentences and answers may name, `tasks` what is right, `check` what an author wants to hear before anybody reads it.
"""
