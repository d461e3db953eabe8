#!/bin/bash
# Run the store's suites on the Qdrant server at LOREBANK_QDRANT_URL, in collections of this run, dropped afterwards.
set -euo pipefail
suites=(
  tests/unit/storage/test_reads.py
  tests/unit/storage/test_writes.py
  tests/unit/storage/test_congruence.py
  tests/unit/actors/test_bank.py
  tests/integration/test_write_protocol.py
  tests/integration/test_bank_stateful.py
)
if [[ -z "${LOREBANK_QDRANT_URL:-}" ]]; then
  printf '%s\n' \
    "SKIPPED: nothing was tested on a Qdrant server, because LOREBANK_QDRANT_URL is not set." \
    "SKIPPED: it would have run, on that server:" "${suites[@]/#/SKIPPED:   }" \
    "To run it: LOREBANK_QDRANT_URL=http://127.0.0.1:6333 [LOREBANK_QDRANT_API_KEY=...] make test-server"
  exit 0
fi
# A request of a test crosses a network here: what takes seconds in one process may take minutes.
exec "$1" --timeout 900 -m server "${suites[@]}"
