"""All engines behind one fixture: what is tested over it holds for every engine."""

from tests.support.engines import edge, engine, local, reference, server, wired

__all__ = ["edge", "engine", "local", "reference", "server", "wired"]
