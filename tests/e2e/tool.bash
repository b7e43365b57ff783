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

need_donor() {
    fwrecover --help | grep -q '^  serve ' || skip "the donor role is not part of this build"
}

need_recipient() {
    fwrecover --help | grep -q '^  recover ' || skip "the recipient role is not part of this build"
}

# The real OVMF flash in two versions, signed by a trusted key and by a stranger's.
make_fixture() {
    local create=(image create --component 8be4df61-93ca-11d2-aa0d-00e098032b8c
        --manufacturer 32473 --product 7 --preserve 0:0x84000 --boot 0x3f0000:64k)
    cat $OVMF/OVMF_VARS_4M.fd $OVMF/OVMF_CODE_4M.fd > bios.bin
    cat $OVMF/OVMF_VARS_4M.fd $OVMF/OVMF_CODE_4M.secboot.fd > newer.bin
    head -c 65536 bios.bin > small.bin
    {
        fwrecover key new release.key release.pub
        fwrecover key new stranger.key stranger.pub
    } > /dev/null
    fwrecover trust new -o trust release.pub
    fwrecover "${create[@]}" --version 1.0 --sequence 5 bios.bin -k release.key -o bios.fwe \
        --tree bios.tree
    fwrecover "${create[@]}" --version 1.1 --sequence 6 newer.bin -k release.key -o newer.fwe
    fwrecover "${create[@]}" --version 1.0 --sequence 5 bios.bin -k stranger.key -o strange.fwe
}

# Waits until a line of the file matches; false when that takes too long.
wait_for() { # file expression
    local tries
    for ((tries = 0; tries < 600; tries++)); do
        grep -qE "$2" "$1" 2> /dev/null && return 0
        sleep 0.05
    done
    return 1
}

# background NAME ARGUMENTS...: fwrecover in the background, its output in NAME.out and NAME.err;
# `pid` is its process id.
background() {
    local name=$1
    shift
    rm -f "$name.out" "$name.err" # so that nobody reads those of an earlier NAME
    # shellcheck disable=SC2086 # a runner may have arguments
    (exec ${TOOL_RUNNER-} "$builddir/fwrecover" "$@") > "$name.out" 2> "$name.err" &
    pid=$!
    started+=("$pid")
}

# begin_serve NAME fwrecover ARGUMENTS...: `port` is the one it printed, `serve_pid_NAME` its
# process id.
begin_serve() {
    local name=$1
    background "$name" "${@:3}"
    printf -v "serve_pid_$name" %s "$pid"
    wait_for "$name.out" 'serving|listening' || {
        echo "FAIL: serve did not start: $(cat "$name.err")"
        exit 1
    }
    # shellcheck disable=SC2034 # for the caller
    port=$(head -n 1 "$name.out" | sed -E 's/.*:([0-9]+)"?.*$/\1/; s/.*:([0-9]+)".*/\1/')
}

# A clean end on SIGTERM is part of what every test checks.
end_serve() {
    local variable=serve_pid_$1 status=0
    kill "${!variable}"
    wait "${!variable}" || status=$?
    ((status == 0)) || fail "serve ended with status $status: $(cat "$1.err")"
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
