#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# Fuzzes every parser, one after the other, with the address and undefined sanitizers.
#
# Usage: tests/fuzz/run.sh SECONDS [CORPUS_FOLDER [TARGET ...]]
#   SECONDS        for each target
#   CORPUS_FOLDER  seeds are taken from it, by content: JSON for graphs, media for their readers
#   TARGET         only these; without any: all that the binary names
# Inputs found are kept in build/fuzz/corpus/TARGET, and what failed in build/fuzz/found/.
set -euo pipefail
cd "$(dirname "$0")/../.."
seconds=${1:?seconds for each target} folder=${2:-}
shift $(($# < 2 ? $# : 2))
[ -f build/fuzz/build.ninja ] || cmake --preset fuzz >/dev/null
cmake --build build/fuzz --target ebb_fuzz | tail -1
fuzz=build/fuzz/tests/fuzz/ebb_fuzz
targets=("$@")
[ ${#targets[@]} -gt 0 ] || mapfile -t targets < <("$fuzz")
export UBSAN_OPTIONS=print_stacktrace=1:halt_on_error=1
mkdir -p build/fuzz/found

seeds() {  # links up to 300 files of at most 100 KB whose name fits the target
  local pattern=$1 into=$2
  [ -n "$folder" ] || return 0
  find -L "$folder" -type f -regextype posix-extended -iregex ".*\.($pattern)" -size -100k |
    LC_ALL=C sort |
    awk 'NR % 4 == 1' | head -300 | while read -r file; do
      cp -n "$file" "$into/$(echo "$file" | cksum | cut -d' ' -f1)"
    done
}

bad=0
for target in "${targets[@]}"; do
  corpus=build/fuzz/corpus/$target
  mkdir -p "$corpus"
  case $target in
    json|graph|plan|undo|patch|clean|explain|compare|draw|launch) find_type='json' ;;
    jpeg) find_type='jpg|jpeg' ;;
    mp4) find_type='mp4|mov|m4v' ;;
    *) find_type=$target ;;
  esac
  seeds "$find_type" "$corpus" || true
  log=build/fuzz/found/$target.log
  rc=0
  EBB_FUZZ_TARGET=$target "$fuzz" -max_total_time="$seconds" -timeout=10 -rss_limit_mb=4096 \
      -max_len=4000000 -print_final_stats=1 -artifact_prefix="build/fuzz/found/$target-" \
      "$corpus" >"$log" 2>&1 || rc=$?
  runs=$(sed -n 's/^stat::number_of_executed_units: *//p' "$log" | tail -1)
  peak=$(sed -n 's/^stat::peak_rss_mb: *//p' "$log" | tail -1)
  printf '%-14s %9s runs  %5s MB  %s\n' "$target" "${runs:-?}" "${peak:-?}" \
      "$([ $rc -eq 0 ] && echo clean || echo "FAILED, see $log")"
  [ $rc -eq 0 ] || bad=$((bad + 1))
done
exit $((bad > 0))
