"""Extraction through the whole server beside an endpoint of which a third of all calls fails, each kind as often."""

import pytest

from loadtests.model_faults import CALLS, run_faults
from loadtests.own_server import own_server
from loadtests.scripted_model import scripted_model
from tests.support.scripted_llm import FAULTS

pytestmark = pytest.mark.long


def test_every_document_is_extracted_once_in_the_end():
    banks = [f"faults-{number}" for number in range(5)]
    with scripted_model(0.33) as model, own_server({**model.settings, **CALLS}) as url:
        run = run_faults(url, model, banks, 400)
    assert (run.lost, run.doubled) == ([], [])
    assert run.facts == 800
    assert run.given_up[-1] == 0
    assert sum(run.calls.get(fault, 0) for fault in FAULTS) > 10
