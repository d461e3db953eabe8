"""When the embedded engine writes its own files: pure, so that it can be looked through.

What was written survives a power loss by the engine's logs, which are synced beside readers. The engine's own flush
only keeps the logs short, and lets no recall run meanwhile: so it waits for a moment in which nobody reads.
"""

from dataclasses import dataclass
from typing import Final

QUIET_S: Final = 0.1
"""Nobody has read for so long: little is lost by a flush."""
SYNCS: Final = 30
"""So many times as long as a sync of the logs takes a flush: it makes some 250 calls to the disk, a sync eight."""
MOST: Final = 2
"""At so many times the bytes, and LATEST times the interval, a flush waits no longer."""
READERS_GONE_S: Final = 1.0
"""Nobody has read for so long: probably nobody is about to."""
FULL: Final = 3
"""At so many times the bytes writers wait for a flush: they write faster than the disk takes it."""
LATEST: Final = 4


@dataclass(frozen=True, slots=True)
class FlushRule:
    """interval_s: how long a little that was written may wait for a flush; bytes: how much makes it come earlier."""

    interval_s: float
    bytes: int

    def is_due(self, dirty_bytes: int, age_s: float, quiet_s: float, disk_s: float) -> bool:
        """Whether to flush now.

        age_s: since when something waits; quiet_s: since when nobody has read; disk_s: what the last sync took.
        """
        if not dirty_bytes:
            return False
        if dirty_bytes >= MOST * self.bytes or age_s >= LATEST * self.interval_s:
            return True
        wanted = dirty_bytes >= self.bytes or age_s >= self.interval_s
        return wanted and quiet_s >= max(QUIET_S, SYNCS * disk_s)

    def is_full(self, dirty_bytes: int, quiet_s: float) -> bool:
        """Whether nothing more may be written before a flush, which would hold readers up for long otherwise.

        quiet_s: since when nobody has read; where nobody does, writers need not wait for their sake.
        """
        return dirty_bytes >= FULL * self.bytes and quiet_s < READERS_GONE_S
