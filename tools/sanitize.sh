#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# Runs all tests and `ebb plan` over a folder of workflows with the address and undefined
# sanitizers, and fails on their first report, on a crash, an internal error or a run over 10 s.
#
# Usage: tools/sanitize.sh [FOLDER [EVERY]]
#   FOLDER  workflows in any format, subfolders too; without it only the tests run
#   EVERY   takes each EVERY-th file by name (default 1: all)
set -euo pipefail
cd "$(dirname "$0")/.."
folder=${1:+$(cd "$1" && pwd)} every=${2:-1}
out=$(mktemp -d) && trap 'rm -rf "$out"' EXIT
export ASAN_OPTIONS=detect_leaks=1:abort_on_error=0:exitcode=99
export UBSAN_OPTIONS=print_stacktrace=1:halt_on_error=1:exitcode=99

quietly() {  # shows the end of the output only of what failed
  "$@" >"$out/log" 2>&1 || { tail -80 "$out/log"; exit 1; }
}
[ -f build/asan/build.ninja ] || quietly cmake --preset asan
quietly cmake --build build/asan
# Times measured under sanitizers say nothing, so the benchmark is left out.
quietly ctest --test-dir build/asan --output-on-failure -E '^bench$'
grep -E 'tests passed|tests failed' "$out/log"
[ -n "$folder" ] || exit 0

mapfile -t files < <(find -L "$folder" -type f ! -name '*.tsv' | LC_ALL=C sort |
                     awk "NR % $every == 0")
answered=0 refused=0 bad=0
for file in "${files[@]}"; do
  rc=0
  timeout 10 build/asan/ebb plan "$file" --vram 16G --ram 32G --os windows --frames 33,81 --json \
      --html "$out/p.html" --svg "$out/p.svg" >"$out/stdout" 2>"$out/stderr" </dev/null || rc=$?
  case $rc in
    0) answered=$((answered + 1)) ;;
    3) refused=$((refused + 1)) ;;
    *) bad=$((bad + 1)); echo "exit $rc: $file"; head -30 "$out/stderr" ;;
  esac
done
echo "ebb plan: ${#files[@]} files, $answered answered, $refused refused as bad input, $bad failed"
[ "$bad" -eq 0 ] && [ "${#files[@]}" -gt 0 ]
