"""All engines behind one fixture: what is tested over it holds for every engine."""

from tests.support.engines import *  # noqa: F403 - its fixtures, whatever engines there are
