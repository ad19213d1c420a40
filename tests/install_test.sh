#!/usr/bin/env bash
# Installs the build into an empty folder and builds examples/ against it, as a user of the library would.
# usage: install_test.sh SOURCE_FOLDER BUILD_FOLDER
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cmake --install "$2" --prefix "$work/installed" >"$work/install.log"
cmake -S "$1/examples/detect" -B "$work/build" -DCMAKE_PREFIX_PATH="$work/installed" >"$work/configure.log"
cmake --build "$work/build" >"$work/build.log" 2>&1 || {
  cat "$work/build.log"
  exit 1
}
# It links and starts: without arguments it explains itself.
code=0
"$work/build/detect" 2>"$work/usage" || code=$?
[[ $code == 2 ]] && grep -q '^usage: detect' "$work/usage"
code=0
"$work/build/detect" "$work/no.pt" "$work/no.jpg" 2>"$work/error" || code=$?
[[ $code == 1 ]] && grep -q 'no.pt' "$work/error"
