#!/usr/bin/env bash
# Make the environment that the Makefile's targets run in, and print nothing when
# it is already there.
#
#   scripts/environment.sh run     what `make run` needs
#   scripts/environment.sh dev     that, and what tests, linters and docs need
#
# Needs Python 3.11 or newer with venv and the package registry; uses uv when it is
# installed and plain pip otherwise. PYTHON=… chooses the interpreter, VENV=… the
# folder.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

kind=${1:?usage: scripts/environment.sh run|dev}
venv=${VENV:-.venv}
lock=locks/$kind.txt
stamp=$venv/.installed-$kind

find_python() {
    for candidate in ${PYTHON:-} python3 python3.13 python3.12 python3.11 python; do
        if "$candidate" -c 'import sys, venv; sys.exit(sys.version_info < (3, 11))' \
            2>/dev/null; then
            echo "$candidate"
            return
        fi
    done
    echo "lockstep needs Python 3.11 or newer with the venv module" >&2
    exit 1
}

# The lock and the project's own metadata decide whether there is work to do.
wanted=$(cat "$lock" pyproject.toml | cksum)
if [ -f "$stamp" ] && [ "$(cat "$stamp")" = "$wanted" ] && [ -x "$venv/bin/python" ]; then
    exit 0
fi

if [ ! -x "$venv/bin/python" ]; then
    "$(find_python)" -m venv "$venv"
fi
echo "installing the $kind environment into $venv" >&2
if command -v uv >/dev/null 2>&1; then
    # The version is chosen per package over all indexes, as pip does it.
    export UV_INDEX_STRATEGY=unsafe-best-match
    uv pip install --quiet --python "$venv/bin/python" --require-hashes -r "$lock"
    uv pip install --quiet --python "$venv/bin/python" --no-deps -e .
else
    pip="$venv/bin/python -m pip --disable-pip-version-check --quiet"
    $pip install --require-hashes -r "$lock"
    $pip install --no-deps -e .
fi
echo "$wanted" >"$stamp"
