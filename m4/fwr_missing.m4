# SPDX-License-Identifier: Apache-2.0
# Saying what is missing. Everything that configure cannot do without is collected, so that
# one run names the whole shopping list; a part that is optional is left out with a reason.

# FWR_MISSING(WHAT, DEBIAN-PACKAGE): note a required thing that was not found.
AC_DEFUN([FWR_MISSING], [
    fwr_missing="$fwr_missing
    $1: Debian package $2"
    fwr_packages="$fwr_packages $2"])

# FWR_STOP_IF_MISSING: end here if anything was noted.
AC_DEFUN([FWR_STOP_IF_MISSING], [
    AS_IF([test -n "$fwr_missing"], [AC_MSG_ERROR([missing:$fwr_missing

Install with: apt-get install$fwr_packages])])])

# FWR_PART_NEEDS(SWITCH, FOUND, WHAT, DEBIAN-PACKAGE): the part behind the shell variable
# SWITCH (yes, no or check) needs WHAT; FOUND is yes or no.
AC_DEFUN([FWR_PART_NEEDS], [
    AS_IF([test "$$1" != no && test "$2" != yes],
        [AS_IF([test "$$1" = yes], [FWR_MISSING([$3], [$4])])
         fwr_why_$1="$fwr_why_$1 ($4 is missing)"])])

# FWR_PART_SETTLE(SWITCH): after its needs, turn check into yes or no.
AC_DEFUN([FWR_PART_SETTLE], [
    AS_IF([test "$$1" = check], [AS_IF([test -z "$fwr_why_$1"], [$1=yes], [$1=no])])])
