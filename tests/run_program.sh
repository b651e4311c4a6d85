# shellcheck shell=bash
# SPDX-License-Identifier: MIT
# To be sourced by a script that is called with a PROGRAM: goes to a folder of its own, which is removed at the end, and
# gives the commands below. What a run writes stands in the files out and err.
set -euo pipefail
program=$1
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"

fail() {
  printf 'FAILED: %s\n' "$*"
  cat out err 2>/dev/null || true
  exit 1
}
run() { "$program" "$@" >out 2>err || fail "exit status $? of: $*"; }
# The program must refuse this in one line, which begins with its name and contains the text, with an exit status of its
# own.
refuses() {
  local text=$1 status=0
  shift
  "$program" "$@" >out 2>err </dev/null || status=$?
  ((status > 0 && status < 100)) || fail "exit status $status of: $*"
  [[ $(wc -l <err) == 1 && $(<err) == "${program##*/}: "*"$text"* ]] || fail "expected one line with '$text' from: $*"
}
refuses_before_training() {
  refuses "$@"
  [[ ! -s out ]] || fail "it began all the same: $*"
}
# Makes a device that swallows all, which only root can; else a link to one, which only root could replace.
make_device() { mknod "$1" c 1 3 2>mknod_messages || ln -s /dev/null "$1"; }
# The program must refuse to write to something else than a file, and leave it alone. Takes the option, and those of a
# short run.
refuses_devices() {
  [[ -e device ]] || make_device device
  refuses_before_training "$1: cannot write 'device': it is a device, not a regular file" "${@:2}" "$1" device
  [[ -c device ]] || fail "$1 has replaced a device"
  [[ -e pipe ]] || mkfifo pipe
  refuses_before_training "$1: cannot write 'pipe': it is a pipe, not a regular file" "${@:2}" "$1" pipe
  [[ -p pipe ]] || fail "$1 has replaced a pipe"
}
# A log without the one field that differs from run to run.
timeless() { sed 's/, "train_seconds": [^}]*//' "$1"; }
