"""What README shows is run as it stands, but for the port."""

import re
from pathlib import Path

import pytest

README = Path(__file__).resolve().parents[2] / "README.md"


EXAMPLES = re.findall(r"```python\n(.*?)```", README.read_text(), re.DOTALL)
FIRST_LINES = (
    r"0\.\d\d Ana - I moved to Oslo in May and I am learning to ski\.",
    r"The tea is in the blue tin\.",
)


def test_every_example_has_its_first_line() -> None:
    assert len(EXAMPLES) == len(FIRST_LINES)


@pytest.mark.parametrize(("example", "line"), zip(EXAMPLES, FIRST_LINES, strict=True), ids=["retain", "session"])
def test_an_example_prints_what_was_retained(
    server_url: str, capsys: pytest.CaptureFixture[str], example: str, line: str
) -> None:
    assert example.count("http://127.0.0.1:8080") == 1
    exec(compile(example.replace("http://127.0.0.1:8080", server_url), str(README), "exec"), {})
    first = capsys.readouterr().out.splitlines()[0]
    assert re.fullmatch(line, first), first


def test_the_examples_are_short() -> None:
    assert all(len(example.splitlines()) <= 17 for example in EXAMPLES)
