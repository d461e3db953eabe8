"""A small dialogue of our own, the measurement file if it is there, and a fake server with the stub route."""

import json
from pathlib import Path

import pytest

from loadtests.locomo_traffic import STUB_PATH
from lorebank.testing import FakeServer, Received

ROOT = Path(__file__).resolve().parents[3]
DEV_FILE = ROOT.parent / "shared" / "data" / "locomo-dev.ndjson"

DIALOGUE = {
    "conversation": "talk-1",
    "speakers": ["Ada", "Ben"],
    "sessions": [
        {
            "session": 1,
            "started_at": "2024-03-01T09:30:00Z",
            "turns": [
                {"dia_id": "D1:1", "speaker": "Ada", "text": "The kettle in my kitchen broke this morning."},
                {"dia_id": "D1:2", "speaker": "Ben", "text": "I bought a blue kayak.", "image_caption": "a blue boat"},
                {"dia_id": "D1:3", "speaker": "Ada", "text": "   "},
            ],
        },
        {
            "session": 2,
            "started_at": "2024-03-09T18:00:00Z",
            "turns": [
                {"dia_id": "D2:1", "speaker": "Ben", "text": "Paddling on the lake was wonderful."},
                {"dia_id": "D2:2", "speaker": "Ada", "text": "A new kettle arrived on Tuesday."},
            ],
        },
    ],
    "questions": [
        {"question": "What happened to the kettle?", "answer": "", "evidence": ["D1:1; D2:02"], "category": 1},
        {"question": "Which colour is the kayak?", "answer": "", "evidence": ["D1:2"], "category": 4},
        {"question": "Who owns a car?", "answer": "", "evidence": ["D1:1"], "category": 5},
        {"question": "Who paddled?", "answer": "", "evidence": ["D9:9", "D"], "category": 4},
    ],
}


@pytest.fixture
def dialogue_file(tmp_path):
    path = tmp_path / "dialogue.ndjson"
    path.write_text(json.dumps(DIALOGUE) + "\n\n" + json.dumps({**DIALOGUE, "conversation": "talk-2"}) + "\n")
    return path


@pytest.fixture
def dev_file():
    if not DEV_FILE.exists():
        pytest.skip("needs the LoCoMo measurement file beside the checkout: shared/data/locomo-dev.ndjson")
    return DEV_FILE


class FakeServerWithStub(FakeServer):
    """Answers the stub route with a constant, as the real server does."""

    def handle(self, request: Received) -> tuple[int, dict[str, str], bytes] | None:
        if request.path == STUB_PATH:
            self.received.append(request)
            return 200, {}, b'{"results": []}'
        return super().handle(request)


@pytest.fixture
def server():
    with FakeServerWithStub() as running:
        yield running
