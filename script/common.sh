# SPDX-License-Identifier: Apache-2.0
# What script/demo and script/test share: install what is missing, then build. Quiet when nothing
# is to be done. Sourced, not run.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

PACKAGES="g++ cmake ninja-build libfmt-dev libcli11-dev libyaml-cpp-dev libtomlplusplus-dev zlib1g-dev"

# Installs the Debian packages named that are not there yet; sudo only if needed.
install_packages() {
  local missing=()
  for package in "$@"; do
    dpkg-query -W -f='${Status}' "$package" 2>/dev/null | grep -q 'ok installed' || missing+=("$package")
  done
  # A cmake, ninja or compiler that was installed by other means is as good.
  local wanted=()
  for package in ${missing[@]+"${missing[@]}"}; do
    case "$package" in
      cmake) command -v cmake >/dev/null && continue ;;
      ninja-build) command -v ninja >/dev/null && continue ;;
      g++) command -v g++ >/dev/null && continue ;;
      python3) command -v python3 >/dev/null && continue ;;
    esac
    wanted+=("$package")
  done
  [ ${#wanted[@]} -eq 0 ] && return
  local sudo=""
  [ "$(id -u)" -eq 0 ] || sudo="sudo"
  echo "installing: ${wanted[*]}" >&2
  $sudo apt-get update -qq >&2
  $sudo env DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends "${wanted[@]}" >/dev/null
}

# Configures and builds a preset; prints only if something is built, everything if it fails.
build() {
  local preset=$1 log
  log=$(mktemp)
  trap 'rm -f "$log"' RETURN
  if ! cmake --preset "$preset" >"$log" 2>&1; then cat "$log" >&2; exit 1; fi
  if [ -n "$(ninja -C "build/$preset" -n 2>/dev/null | grep -v 'no work to do' | grep '^\[' || true)" ]; then
    echo "building build/$preset (a few minutes the first time) ..." >&2
  fi
  if ! cmake --build "build/$preset" >"$log" 2>&1; then cat "$log" >&2; exit 1; fi
}
