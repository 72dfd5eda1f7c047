#!/bin/sh
# Compile the lock files from pyproject.toml, for Python 3.11 to 3.14 on every platform; options go to uv (--upgrade).
#
#   requirements.lock        what `demo` and `up` run
#   requirements-dev.lock    that, every extra and the tests' tools
#   requirements-image.lock  what the image holds
#   requirements-lowest.lock the lowest version of each direct dependency, beside what the Resync app pins
#   requirements-build.lock  what makes a wheel
#   requirements-tools.lock  what makes locks, bill of materials and audit
#   .ci/requirements.lock    what only continuous integration needs
#
# Each version has the hashes of all its files, so that another file of the same name is refused. No file names an index:
# an installation takes the index that its pip is set to.
set -eu

cd "$(dirname "$0")/.."

compile() {
  .venv-tools/bin/uv pip compile --quiet --universal --python-version 3.11 --no-header --no-annotate --generate-hashes "$@"
}

compile "$@" --extra embedded --output-file requirements.lock pyproject.toml
# The runtime's versions bind the rest, so that the tests run what the demo runs, and the image what was tested.
compile "$@" --all-extras --group dev --constraint requirements.lock --output-file requirements-dev.lock pyproject.toml
compile "$@" --extra workers --extra flower --extra postgres --extra knowledge --extra otel --constraint requirements-dev.lock \
  --output-file requirements-image.lock pyproject.toml
tools=$(mktemp)
trap 'rm -f "$tools"' EXIT
sed -n 's/^\(fakeredis\|lupa\|pytest\|pytest-timeout\|pytest-xdist\|trustme\|uvicorn\)==\([^ ;]*\).*/\1==\2/p' \
  requirements-dev.lock >"$tools"
compile "$@" --resolution lowest-direct --all-extras --output-file requirements-lowest.lock pyproject.toml \
  tests/data/app_pins.txt "$tools"
compile "$@" --group build --constraint requirements-dev.lock --output-file requirements-build.lock
compile "$@" --group tools --output-file requirements-tools.lock
compile "$@" --group ci --no-deps --output-file .ci/requirements.lock
