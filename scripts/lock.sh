#!/bin/sh
# Compile requirements.lock (what `demo` and `up` run) and requirements-dev.lock (that, every extra and the tests' tools;
# the image takes its versions from it) from pyproject.toml, for Python 3.11 and 3.12; options go to uv (--upgrade).
#
# Neither file names an index: an installation takes the index that its pip is set to.
set -eu

cd "$(dirname "$0")/.."
# uv is a large download that nobody but the maintainer of the locks needs.
[ -x .venv/bin/uv ] || .venv/bin/python -m pip --disable-pip-version-check install --quiet 'uv>=0.9,<1'

compile() {
  .venv/bin/uv pip compile --quiet --universal --python-version 3.11 --no-header --no-annotate "$@" pyproject.toml
}

compile "$@" --extra embedded --output-file requirements.lock
# The runtime's versions bind the rest, so that the tests run what the demo runs.
compile "$@" --all-extras --group dev --constraint requirements.lock --output-file requirements-dev.lock
