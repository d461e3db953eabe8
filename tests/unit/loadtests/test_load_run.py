"""The load run: recording, report, reading back, and locust itself for a second."""

import pytest
from rich.console import Console

from loadtests.recording import Acknowledged, Record, RequestRow, read_record
from loadtests.report import LoadReport, print_load_report, route_rows, to_markdown
from loadtests.run import drive, find_missing
from lorebank import Client

GOOD = [RequestRow("POST recall", 200, float(ms)) for ms in range(1, 102)]


def report_of(*rows, missing=()):
    return LoadReport.of(Record(list(rows)), seconds=10, users=2, read_back=5, missing=list(missing))


def test_a_record_survives_its_file(tmp_path):
    record = Record([RequestRow("GET banks", 200, 1.5)], [Acknowledged("b", "d", ["a text"])])
    record.write(tmp_path / "record.json")
    assert read_record(tmp_path / "record.json") == record


def test_another_file_is_no_record(tmp_path):
    (tmp_path / "other.json").write_text("{}")
    with pytest.raises(ValueError, match="not the record of a load run"):
        read_record(tmp_path / "other.json")


def test_latencies_are_of_served_requests_and_the_rest_is_counted_by_status():
    rows = [*GOOD, RequestRow("POST recall", 429, 9000.0), RequestRow("POST retain", 503, 9000.0)]
    report = report_of(*rows)
    assert route_rows(report) == [
        ["POST recall", "10.1", "51.0", "96.0", "100.0", "1", "0"],
        ["POST retain", "0.0", "-", "-", "-", "1", "0"],
    ]
    assert report.ok


@pytest.mark.parametrize(("status", "shown"), [(500, "1 x 500"), (404, "1 x 404"), (0, "1 x no answer")])
def test_anything_but_success_and_refusal_fails_the_run(status, shown):
    report = report_of(*GOOD, RequestRow("POST recall", status, 1.0))
    assert route_rows(report)[0][-1] == shown
    assert not report.ok


def test_a_missing_write_or_an_empty_run_fails():
    assert not report_of(*GOOD, missing=["b/d: no such document"]).ok
    assert not report_of().ok
    assert not report_of(RequestRow("POST recall", 503, 1.0)).ok


def test_the_report_is_printed_and_written():
    report = report_of(*GOOD, missing=["b/d: no such document"])
    console = Console(width=100, record=True)
    print_load_report(report, console)
    for text in (console.export_text(), to_markdown(report)):
        assert "missing: b/d: no such document" in text
        assert "4 of 5 read back found: FAILED" in text


def test_reading_back_tells_what_is_wrong(server):
    with Client(server.url) as client:
        client.retain("b", "Ada mended the blue kettle.", document_id="kept")
        client.retain("b", "Another text altogether.", document_id="changed")
        sample = [
            Acknowledged("b", "kept", ["Ada mended the blue kettle."]),
            Acknowledged("b", "changed", ["Ben sold the kayak."]),
            Acknowledged("b", "gone", ["Nobody knows."]),
        ]
        assert find_missing(client, sample) == [
            "b/changed: stored, but not word for word",
            "b/gone: no such document",
        ]


def test_locust_sends_the_mix_and_stops_by_itself(server):
    record = drive(server.url, seconds=1, users=2, seed=3, bank_ids=["load-a", "load-b"])
    routes = {row.route for row in record.requests}
    assert "POST recall" in routes
    assert routes <= {"POST recall", "POST retain", "GET documents", "GET document", "GET banks"}
    assert {row.status for row in record.requests} == {200}
    stored = {document for bank in server.banks.values() for document in bank.documents}
    assert {one.document_id for one in record.acknowledged} <= stored
