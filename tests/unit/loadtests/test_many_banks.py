"""What a bank takes, from what two servers take; and where memory is read."""

import io
import subprocess
import sys
from collections import Counter

import pytest
from rich.console import Console

from loadtests.many_banks import HOSTS, SHARDS, Measured, Memory, bytes_per_bank, print_measured
from loadtests.percentiles import Percentiles
from loadtests.server_memory import OTHER, memory_by_role, pss_bytes

KIB, MIB = 1 << 10, 1 << 20


def measured(
    banks: int, hosts_kib: float, shards_kib: float, p50_ms: float = 5.0, active: int | None = None
) -> Measured:
    def memory(share: float) -> Counter[str]:
        held = {HOSTS: 100 * MIB + banks * hosts_kib * KIB, SHARDS: 200 * MIB + banks * shards_kib * KIB}
        return Counter({role: int(value * share) for role, value in held.items()})

    held = Memory(memory(1.0), memory(0.5))

    recall = Percentiles(10, p50_ms, p50_ms, p50_ms)
    return Measured(banks, banks if active is None else active, 1.0, held, held, recall)


def test_a_bank_takes_what_the_larger_server_takes_more():
    each = bytes_per_bank(measured(100, 4, 3), measured(1100, 4, 3))
    assert each == pytest.approx({HOSTS: 4 * KIB, SHARDS: 3 * KIB, "both": 7 * KIB}, rel=0.01)
    own = bytes_per_bank(measured(100, 4, 3), measured(1100, 4, 3), own=True)
    assert own == pytest.approx({role: held / 2 for role, held in each.items()}, rel=0.01)


@pytest.mark.parametrize(
    ("many", "fine", "said"),
    [
        (measured(1100, 4, 3), True, "ok"),
        (measured(1100, 6, 3), False, "MISSED"),
        (measured(1100, 4, 3, p50_ms=6.6), False, "x 1.32"),
        (measured(1100, 4, 3, active=1000), False, "MISSED"),
    ],
)
def test_bounds_are_judged(many, fine, said):
    out = io.StringIO()
    assert print_measured(measured(100, 4, 3), many, Console(file=out, width=160)) is fine
    assert said in out.getvalue()


def test_memory_of_all_processes_below_one_is_counted():
    child = (
        "import subprocess, sys; "
        "p = subprocess.Popen([sys.executable, '-c', 'x = bytearray(30 << 20); print(1, flush=True); input()'],"
        " stdin=subprocess.PIPE); p.wait()"
    )
    with subprocess.Popen([sys.executable, "-c", child], stdout=subprocess.PIPE, stdin=subprocess.PIPE) as parent:
        assert parent.stdout is not None
        parent.stdout.readline()  # the grandchild has its memory now
        found = memory_by_role(parent.pid)
        assert set(found) == {OTHER}
        assert 30 * MIB < found[OTHER] < 90 * MIB
        assert pss_bytes(parent.pid) > MIB
        parent.terminate()


def test_a_process_that_is_gone_has_no_memory():
    with pytest.raises(OSError, match="2"):
        pss_bytes(2**22 + 1)
