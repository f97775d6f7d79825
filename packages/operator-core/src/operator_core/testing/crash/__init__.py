"""The crash test: real processes die, stand still or lose answers at every named point.

Effects are counted by the system behind the subject, outside the engine. ``docs/crash-test.md``
tells how to run it and how to read its table.
"""
