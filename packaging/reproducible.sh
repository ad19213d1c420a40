#!/usr/bin/env bash
# Builds the programs, the library and the packages of the last commit twice, in folders of other names and depths, in another time zone
# and language, and compares all of them byte by byte. Takes twice what a build takes; needs what a build and its packages need.
# usage: reproducible.sh
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
export SOURCE_DATE_EPOCH CCACHE_DISABLE=1
SOURCE_DATE_EPOCH=$(git log -1 --format=%ct)

build() { # SOURCE_FOLDER BUILD_FOLDER
  local log=$work/build.log
  mkdir -p "$1"
  git archive HEAD | tar -x -C "$1"
  if ! {
    cmake --preset release -S "$1" -B "$2" -DMARROW_TESTS=OFF -DMARROW_SANITIZED_BUILD= &&
      cmake --build "$2" --parallel "$(nproc)" && cpack --config "$2/CPackConfig.cmake" -B "$2/packages"
  } >"$log" 2>&1; then
    tail -n 30 "$log" >&2
    exit 1
  fi
  rm -rf "$2/packages/_CPack_Packages"
}
TZ=UTC LC_ALL=C.UTF-8 build "$work/a" "$work/a/build/release"
TZ=Asia/Tokyo LC_ALL=C build "$work/a folder with a longer name/source" "$work/elsewhere/b"

other=$work/elsewhere/b
status=0 count=0
while IFS= read -r -d '' file; do
  count=$((count + 1))
  cmp "$file" "$other/${file#"$work/a/build/release/"}" || status=1
done < <(find "$work/a/build/release/bin" "$work/a/build/release/packages" "$work/a/build/release" -maxdepth 1 -type f \
  \( -path '*/bin/*' -o -name '*.deb' -o -name 'libmarrow.so*' \) -print0)
((count > 5)) || { echo "only $count files were built" >&2; exit 1; }
((status == 0)) && echo "$count programs, libraries and packages are equal, byte by byte; SHA-256 of what they are together:" &&
  (cd "$work/a/build/release" && sha256sum bin/* libmarrow.so.*.*.* packages/*.deb | sort -k 2 | sha256sum)
exit "$status"
