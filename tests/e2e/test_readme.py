"""What README shows is run as it stands, but for the port."""

import re
from pathlib import Path

import pytest

README = Path(__file__).resolve().parents[2] / "README.md"


def test_the_example_prints_what_was_retained(server_url: str, capsys: pytest.CaptureFixture[str]) -> None:
    (example,) = re.findall(r"```python\n(.*?)```", README.read_text(), re.DOTALL)
    assert example.count("http://127.0.0.1:8080") == 1
    exec(compile(example.replace("http://127.0.0.1:8080", server_url), str(README), "exec"), {})
    first = capsys.readouterr().out.splitlines()[0]
    assert re.fullmatch(r"0\.\d\d Ana - I moved to Oslo in May and I am learning to ski\.", first), first


def test_the_example_is_short() -> None:
    (example,) = re.findall(r"```python\n(.*?)```", README.read_text(), re.DOTALL)
    assert len(example.splitlines()) <= 17
