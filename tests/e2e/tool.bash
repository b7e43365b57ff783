# SPDX-License-Identifier: Apache-2.0
# shellcheck shell=bash
#
# Sourced by the tests of the fwrecover command: a folder of their own, the command just built,
# and words to say what is expected. Ends the processes it started, by their ids.
set -uo pipefail

builddir=$(cd "${builddir:-.}" && pwd)
srcdir=$(cd "${srcdir:-.}" && pwd)
OVMF=/usr/share/OVMF
failures=0
started=()

work=$(mktemp -d)
at_exit() {
    local pid
    for pid in "${started[@]}"; do
        kill "$pid" 2> /dev/null && wait "$pid" 2> /dev/null
    done
    cd / && rm -rf "$work"
}
trap at_exit EXIT
cd "$work" || exit 99

skip() {
    echo "$*"
    exit 77
}

test -x "$builddir/fwrecover" || skip "the fwrecover command is not part of this build"

# A runner such as valgrind may stand in front.
fwrecover() {
    ${TOOL_RUNNER-} "$builddir/fwrecover" "$@"
}

need_ovmf() {
    test -r $OVMF/OVMF_CODE_4M.secboot.fd || skip "no OVMF image: Debian package ovmf"
}

say() {
    echo "== $*"
}

fail() {
    echo "FAIL: $*"
    failures=$((failures + 1))
}

# expect STATUS COMMAND...: runs it, keeps stdout and stderr in files of those names.
expect() {
    local wanted=$1 status=0
    shift
    "$@" > stdout 2> stderr || status=$?
    if ((status != wanted)); then
        fail "exit status $status instead of $wanted: $*"
        sed 's/^/    /' stdout stderr | tail -n 20
    fi
}

stderr_has() {
    grep -qF -- "$1" stderr || fail "no \"$1\" in: $(cat stderr)"
}

# json EXPRESSION < FILE: a Python expression over the value d.
json() {
    python3 -c 'import json, sys
d = json.loads(sys.stdin.read())
sys.exit(not eval(sys.argv[1].replace("\n", " ")))' "$1" || fail "not so: $1"
}

finish() {
    if ((failures > 0)); then
        echo "$failures failures"
        exit 1
    fi
    exit 0
}
