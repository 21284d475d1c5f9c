#!/bin/sh
# Makes a Feast project with Feast's own template, fills its online store, and serves it: what stands behind Featheredge in this example.
#
#   FEAST_PORT=6566            where Feast listens
#   FEAST_DIR=build/feast      where the project goes, and the Python environment, from the root of this repository
#   FEAST_PYTHON=…/bin/python  a Python that has Feast already; without it, one is made
set -eu

root=$(cd "$(dirname "$0")/../.." && pwd)
dir=${FEAST_DIR:-$root/build/feast}
port=${FEAST_PORT:-6566}
mkdir -p "$dir"
dir=$(cd "$dir" && pwd)

if [ -z "${FEAST_PYTHON:-}" ]; then
	FEAST_PYTHON=$dir/venv/bin/python
	if [ ! -x "$dir/venv/bin/feast" ]; then
		echo "installing Feast into $dir/venv"
		python3 -m venv "$dir/venv"
		"$FEAST_PYTHON" -m pip install --quiet --disable-pip-version-check --requirement "$root/tests/feast/requirements.txt"
	fi
fi
PATH=$(dirname "$FEAST_PYTHON"):$PATH

# Without assertions Python leaves out type checks that Feast builds when it is imported: two seconds instead of eight.
export PYTHONOPTIMIZE=1 PATH

if [ ! -e "$dir/demo/filled" ]; then
	rm -rf "$dir/demo"
	(cd "$dir" && feast init demo)
	cd "$dir/demo/feature_repo"
	feast apply
	feast materialize-incremental "$(date -u +%Y-%m-%dT%H:%M:%S)"
	touch "$dir/demo/filled"
fi

cd "$dir/demo/feature_repo"
exec feast serve --host 127.0.0.1 --port "$port" --no-access-log
