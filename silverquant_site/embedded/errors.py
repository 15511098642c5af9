from __future__ import annotations


class StartFailed(Exception):
    """Why the platform cannot start, in one line for the person at the terminal."""


class StopRequested(Exception):
    """A person or the system asked the platform to stop."""
