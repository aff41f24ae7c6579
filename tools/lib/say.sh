# shellcheck shell=bash
# Messages of the scripts: to stderr, with the script's name.
say() { echo "${0##*/}: $*" >&2; }
fail() {
  say "$*"
  exit 1
}
