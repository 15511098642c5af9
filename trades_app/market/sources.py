"""What the `source` of a trade says."""

from __future__ import annotations

from typing import Final

# A fill that nobody reported: it was assumed from its order, as it was asked for.
ASSUMED: Final = "assumed"
