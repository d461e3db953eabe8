"""What the server says: at once while somebody reads it, into nothing afterwards."""

import os

from serve_app.progress import write_line


def test_a_line_is_there_at_once_and_no_error_when_its_reader_is_gone() -> None:
    read, write = os.pipe()
    with os.fdopen(write, "w", encoding="utf-8") as stream:
        write_line(stream, "ready")
        assert os.read(read, 100) == b"ready\n"
        os.close(read)
        write_line(stream, "stopping")
        write_line(stream, "stopped")
