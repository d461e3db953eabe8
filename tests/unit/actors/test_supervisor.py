"""What the supervisor says of the parts."""

from actors.supervision import Standing
from actors.supervisor import SupervisorReport


def test_a_report_counts():
    report = SupervisorReport({"a": Standing.WELL, "b": Standing.STARTING}, {"a": 2, "b": 1})
    assert str(report) == "watches 2 parts, ended 3"
