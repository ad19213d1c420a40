#!/usr/bin/env bash
# Installs the build into an empty folder and builds the examples against it, as a program of somebody else would.
# usage: install_test.sh SOURCE_FOLDER BUILD_FOLDER FOLDER_OF_MAKE_API_FILES
set -euo pipefail
source=$1 build=$2 files=$3
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
fail() {
  echo "install_test: $*" >&2
  exit 1
}

cmake --install "$build" --prefix "$work/installed" >"$work/install.log"
find "$work/installed/include" -type f -printf '%P\n' | sort >"$work/headers"
printf 'marrow/%s\n' marrow.h marrow.hpp version.h | cmp - "$work/headers" || fail "other headers are installed"

export CFLAGS="-std=c99 -Wall -Wextra -pedantic -Werror" CXXFLAGS="-Wall -Wextra -Wpedantic -Werror"
for language in c cpp; do
  {
    cmake -S "$source/examples/$language" -B "$work/$language" -DCMAKE_PREFIX_PATH="$work/installed" &&
      cmake --build "$work/$language"
  } >"$work/$language.log" 2>&1 || {
    cat "$work/$language.log"
    fail "the example in $language does not build"
  }
done

# Each explains itself, says what is wrong, and finds what the others find.
export PYTHONPATH=$source/python MARROW_LIBRARY XDG_CACHE_HOME=$work/cache  # one choice of kernels for all
MARROW_LIBRARY=$(echo "$work"/installed/lib*/libmarrow.so)
try() { # NAME COMMAND...
  local name=$1 code=0
  shift
  "$@" 2>"$work/$name.err" || code=$?
  [[ $code == 2 ]] && grep -q '^usage: detect' "$work/$name.err" || fail "$name: no usage: $(<"$work/$name.err")"
  code=0
  "$@" "$work/no.safetensors" "$files/a.jpg" 2>"$work/$name.err" || code=$?
  [[ $code == 1 ]] && grep -q no.safetensors "$work/$name.err" || fail "$name: no error: $(<"$work/$name.err")"
  local task
  for task in detector segment pose obb; do
    "$@" "$files/$task.safetensors" "$files/a.jpg" "$files/b.png" || fail "$name finds nothing with $task"
  done >"$work/$name.out"
  cmp "$work/$name.out" "$work/c.out" || fail "$name and c find different things"
}
try c "$work/c/detect"
for found in ' (.*) to (' 'an outline of' 'its points at (' 'turned by'; do
  grep -q "$found" "$work/c.out" || fail "c finds nothing with '$found'"
done
try cpp "$work/cpp/detect"
if /usr/bin/python3 -c 'import numpy' 2>/dev/null; then
  try python /usr/bin/python3 -B "$source/examples/python/detect.py"
fi

# The pages show these very programs.
for pair in cpp/main.cpp:cpp cpp/CMakeLists.txt:cpp c/main.c:c python/detect.py:python; do
  [[ $(<"$source/docs/use-from-${pair#*:}.md") == *"$(<"$source/examples/${pair%:*}")"* ]] ||
    fail "docs/use-from-${pair#*:}.md shows another program than examples/${pair%:*}"
done
