"""Modules stay short enough to be read in one sitting."""

from pathlib import Path

ROOT = Path(__file__).parents[2]
MOST_LINES = 400
LONGER: dict[str, str] = {}
"""Module -> why it may be longer."""


def lines_of() -> dict[str, int]:
    sources = [path for path in ROOT.glob("*/**/*.py") if not path.relative_to(ROOT).parts[0].startswith(".")]
    return {str(path.relative_to(ROOT)): len(path.read_text().splitlines()) for path in sources}


def test_no_module_is_longer_than_the_cap():
    sizes = lines_of()
    assert len(sizes) > 50
    over = {name: count for name, count in sizes.items() if count > MOST_LINES and name not in LONGER}
    assert not over


def test_no_exception_outlives_its_reason():
    sizes = lines_of()
    assert all(reason for reason in LONGER.values())
    assert not [name for name in LONGER if sizes.get(name, 0) <= MOST_LINES]


def test_most_modules_are_under_three_hundred_lines():
    sizes = lines_of()
    assert sum(count < 300 for count in sizes.values()) > 0.9 * len(sizes)
