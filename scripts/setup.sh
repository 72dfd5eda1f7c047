#!/bin/sh
# Set up .venv for `make`, .venv-tools or .venv-lowest: scripts/setup.sh runtime|dev|tools|lowest
#
# Installs what the locks name, each file by its hash, and then the project itself, editable and without resolving or
# fetching anything: the locks alone decide what is run. pip's output goes to a log that is shown only when a step fails.
set -eu

cd "$(dirname "$0")/.."
kind=${1:?usage: scripts/setup.sh runtime|dev|tools|lowest}
venv=.venv
case $kind in
  runtime) lock=requirements.lock ;;
  dev) lock=requirements-dev.lock ;;
  tools) lock=requirements-tools.lock venv=.venv-tools ;;
  lowest) lock=requirements-lowest.lock venv=.venv-lowest ;;
  *) echo "setup: unknown kind '$kind' (runtime, dev, tools or lowest)" >&2; exit 2 ;;
esac
log=$venv/setup.log

usable() {
  # A shim of a version manager may be on PATH and still fail; Debian's python3 may come without ensurepip.
  "$1" -c 'import ensurepip, sys, venv; sys.exit(not (3, 11) <= sys.version_info[:2] <= (3, 14))' >/dev/null 2>&1
}

# Newest first, but for 3.14, which the project's own tests have not run on.
minors="3.13 3.12 3.11 3.14"

find_python() {
  if [ -n "${PYTHON:-}" ]; then
    if usable "$PYTHON"; then echo "$PYTHON"; fi
    return
  fi
  for minor in $minors 3 ""; do
    name=python$minor
    old_ifs=$IFS
    IFS=:
    # shellcheck disable=SC2086 # split at the colons
    set -- $PATH
    IFS=$old_ifs
    for folder; do
      if usable "$folder/$name"; then echo "$folder/$name"; return; fi
    done
  done
  pyenv=${PYENV_ROOT:-$HOME/.pyenv}/versions
  for minor in $minors; do
    for candidate in "$pyenv/$minor".*/bin/python3; do
      if usable "$candidate"; then echo "$candidate"; return; fi
    done
  done
}

run() {
  if ! "$@" >"$log" 2>&1 </dev/null; then
    cat "$log" >&2
    echo "setup: failed: $*" >&2
    exit 1
  fi
}

# A virtual environment whose interpreter has gone (an upgraded Python, a moved checkout) is of no use.
if [ -e $venv ] && ! usable $venv/bin/python; then
  echo "setup: $venv has no working Python 3.11 to 3.14, making it anew" >&2
  rm -rf $venv
fi
if [ ! -e $venv ]; then
  python=$(find_python)
  if [ -z "$python" ]; then
    echo "setup: no working Python 3.11 to 3.14 with venv was found${PYTHON:+ at PYTHON=$PYTHON}." >&2
    echo "       Install one (Debian and Ubuntu: python3 and python3-venv) or name it: make PYTHON=/path/to/python3.11 ..." >&2
    exit 1
  fi
  echo "setup: $venv from $python" >&2
  "$python" -m venv $venv
fi

pip="$venv/bin/python -m pip --disable-pip-version-check --no-input install --no-deps --quiet"
echo "setup: installing $lock (once, until it changes)" >&2
if [ $venv != .venv ]; then
  # shellcheck disable=SC2086 # a command with its options
  run $pip --require-hashes --requirement $lock
else
  # shellcheck disable=SC2086
  run $pip --require-hashes --requirement requirements-build.lock --requirement $lock
  # shellcheck disable=SC2086
  run $pip --no-build-isolation --editable .
fi
rm -f "$log"
