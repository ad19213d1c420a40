#!/usr/bin/env bash
# Builds the programs, the library and the packages of the last commit twice, in folders of other names and depths, in another time zone
# and language, and compares all of them byte by byte. Takes twice what a build takes; needs what a build and its packages need.
# usage: reproducible.sh [BUILD_FOLDER]   one of the two that is there already: a release build of the last commit
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
first=${1:+$(realpath "$1")}
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
# An object that one build takes from the other's compiler would be equal to itself.
export SOURCE_DATE_EPOCH CCACHE_DISABLE=1
SOURCE_DATE_EPOCH=$(git log -1 --format=%ct)

logged() { # COMMAND...
  "$@" >"$work/log" 2>&1 || { tail -n 30 "$work/log" >&2; exit 1; }
}

build() { # SOURCE_FOLDER BUILD_FOLDER
  mkdir -p "$1"
  git archive HEAD | tar -x -C "$1"
  logged cmake --preset release -S "$1" -B "$2" -DMARROW_TESTS=OFF -DMARROW_SANITIZED_BUILD=
  logged cmake --build "$2" --parallel "$(nproc)"
}

# Packages are made of what is built, in any case.
package() { # BUILD_FOLDER TO
  logged cpack --config "$1/CPackConfig.cmake" -B "$2"
  rm -rf "$2/_CPack_Packages"
}

if [[ -z $first ]]; then
  first=$work/a/build/release
  TZ=UTC LC_ALL=C.UTF-8 build "$work/a" "$first"
elif [[ -n $(git status --porcelain --untracked-files=no) ]]; then
  echo "there are changes since the last commit: $first may be of them" >&2
  exit 1
fi
TZ=UTC LC_ALL=C.UTF-8 package "$first" "$work/packages-a"
second=$work/elsewhere/b
TZ=Asia/Tokyo LC_ALL=C build "$work/a folder with a longer name/source" "$second"
TZ=Asia/Tokyo LC_ALL=C package "$second" "$work/elsewhere/packages"

status=0 count=0
compare() { # FOLDER OTHER FIND_ARGUMENTS...
  local folder=$1 other=$2 file
  shift 2
  while IFS= read -r file; do
    count=$((count + 1))
    cmp "$folder/$file" "$other/$file" || status=1
  done < <(cd "$folder" && find "$@" -type f | sort)
}
compare "$first" "$second" bin -name 'marrow*'
compare "$first" "$second" . -maxdepth 1 -name 'libmarrow.so.*'
compare "$work/packages-a" "$work/elsewhere/packages" . -name '*.deb'
((count > 5)) || { echo "only $count files were built" >&2; exit 1; }
((status == 0)) && echo "$count programs, libraries and packages are equal, byte by byte; SHA-256 of what they are together:" &&
  (cd "$second" && sha256sum bin/marrow* libmarrow.so.*.*.* ../packages/*.deb | sort -k 2 | sha256sum)
exit "$status"
