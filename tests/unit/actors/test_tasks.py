"""The threads that embed in bulk."""

import os
import sys

import pytest

from actors.tasks import BULK_NICENESS, embedding


@pytest.mark.skipif(sys.platform != "linux", reason="threads have a niceness of their own on Linux only")
def test_bulk_embedding_stands_back_and_the_rest_of_the_process_does_not():
    own = os.getpriority(os.PRIO_PROCESS, 0)
    assert embedding.submit(os.getpriority, os.PRIO_PROCESS, 0).result(10) == max(own, BULK_NICENESS)
    assert os.getpriority(os.PRIO_PROCESS, 0) == own
