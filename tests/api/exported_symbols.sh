#!/usr/bin/env bash
# Compares what libmarrow exports with the list of what it means to.
# usage: exported_symbols.sh LIBRARY LIST
set -euo pipefail
# Weak symbols are the compiler's copies of inline functions; there should be none either.
export LC_ALL=C
nm --dynamic --defined-only --demangle "$1" | cut -d' ' -f3- | sort -u |
  diff "$2" - || {
  echo "libmarrow exports other symbols than $2 lists (< is missing, > is not meant to be there)"
  exit 1
}
