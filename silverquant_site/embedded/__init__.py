"""`make run`: the whole platform on one machine, its servers included.

The supervisor starts the programs of the Procfile in order, waits until each answers, and
starts again what dies. It imports no Django application, so it stays small.
"""
