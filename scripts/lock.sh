#!/bin/sh
# Compile requirements.lock (what `demo`, `up` and the image run) and requirements-dev.lock (that and the tests' tools)
# from pyproject.toml, for Python 3.11 and 3.12 on every platform; options go to uv (--upgrade).
#
# Neither file names an index: an installation takes the index that its pip is set to.
set -eu

cd "$(dirname "$0")/.."
# uv is a large download that nobody but the maintainer of the locks needs.
[ -x .venv/bin/uv ] || .venv/bin/python -m pip --disable-pip-version-check install --quiet 'uv>=0.9,<1'

compile() {
  .venv/bin/uv pip compile --quiet --universal --python-version 3.11 --no-header --no-annotate --extra embedded \
    "$@" pyproject.toml
}

compile "$@" --output-file requirements.lock
# The runtime's versions bind the tests' tools, so that the tests run what the demo runs.
compile "$@" --group dev --constraint requirements.lock --output-file requirements-dev.lock
