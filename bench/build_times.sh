#!/usr/bin/env bash
# How long a fresh clone takes to build, to show the demo and to run all tests, without a compiler cache:
#   bench/build_times.sh [--write]
# Run it on an otherwise idle machine where Debian's packages are installed. --write puts the table into docs/building.md.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
root=$PWD
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
export CCACHE_DISABLE=1

git clone -q "$root" "$work/marrow"
cd "$work/marrow"
[[ -d $root/../shared ]] && export MARROW_GOLDEN=${MARROW_GOLDEN:-$root/../shared/golden:$root/../shared/golden-2}

# minutes COMMAND...: its time, after the installation of packages.
minutes() {
  local begin=$SECONDS
  "$@" >"$work/log" 2>&1 || { tail -n 40 "$work/log" >&2; exit 1; }
  local seconds=$((SECONDS - begin))
  printf '%d:%02d' $((seconds / 60)) $((seconds % 60))
}

build=$(minutes ./run build)
demo=$(minutes ./run demo)
tests=$(minutes ./run test)
processor=$(sed -n 's/^model name[^:]*: //p' /proc/cpuinfo | head -n 1)
table="| command | minutes:seconds | |
| --- | --- | --- |
| \`./run build\` | $build | from a fresh clone |
| \`./run demo\` | $demo | after \`./run build\` |
| \`./run test\` | $tests | after \`./run build\`; builds the tests, and the core once more for the sanitizers |

$(nproc) processors of an $processor; \`bench/build_times.sh --write\` makes this table."
printf '%s\n' "$table"
if [[ ${1:-} == --write ]]; then
  awk -v table="$table" '/<!-- measured: begin -->/ {print; print table; skip = 1; next} /<!-- measured: end -->/ {skip = 0} !skip' \
    "$root/docs/building.md" >"$work/building.md"
  cp "$work/building.md" "$root/docs/building.md"
fi
