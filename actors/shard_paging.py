"""Pages over several storage shards: a token names the shard, and within it where to go on."""

from memory.audit_calls import ScopePage


def resume(start: str | None) -> tuple[int, str | None]:
    """The shard to ask, and the token to ask it with."""
    index, _, inner = (start or "0:").partition(":")
    return int(index), inner or None


def joined(page: ScopePage, index: int, shards: int) -> ScopePage:
    """A shard's page as one of all shards': after its last one comes the next shard's first."""
    if page.next is not None:
        return ScopePage(page.scopes, f"{index}:{page.next}")
    return ScopePage(page.scopes, f"{index + 1}:" if index + 1 < shards else None)
