"""The machine's clock behind memory's port."""

from datetime import UTC, datetime


class SystemClock:
    """Implements memory.ports.Clock."""

    def now(self) -> datetime:
        """Now, aware, UTC."""
        return datetime.now(UTC)
