# SPDX-License-Identifier: Apache-2.0
# FWR_COMPILER_FLAGS: the language, the warnings, and the builds that look for faults.
# Sets FWR_CFLAGS and FWR_LDFLAGS (for everything), FWR_FUZZ_LDFLAGS, and the conditionals
# SANITIZERS and FUZZING. The user's own CFLAGS are never touched.

# FWR_TRY_FLAG(VARIABLE, FLAG): append FLAG if the C compiler takes it without complaint.
AC_DEFUN([FWR_TRY_FLAG], [
    AS_VAR_PUSHDEF([fwr_cv], [fwr_cv_flag_$2])
    AC_CACHE_CHECK([whether $CC accepts $2], [fwr_cv], [
        fwr_saved_CFLAGS=$CFLAGS
        CFLAGS="$CFLAGS -Werror $2"
        AC_COMPILE_IFELSE([AC_LANG_PROGRAM([], [])],
            [AS_VAR_SET([fwr_cv], [yes])], [AS_VAR_SET([fwr_cv], [no])])
        CFLAGS=$fwr_saved_CFLAGS])
    AS_VAR_IF([fwr_cv], [yes], [$1="$$1 $2"])
    AS_VAR_POPDEF([fwr_cv])])

AC_DEFUN([FWR_COMPILER_FLAGS], [
    AC_REQUIRE([AC_PROG_CC])
    FWR_CFLAGS='-std=c11'
    m4_foreach_w([fwr_flag], [
        -Wall -Wextra -Wpedantic -Wshadow -Wundef -Wvla -Wwrite-strings
        -Wstrict-prototypes -Wmissing-prototypes -Wold-style-definition -Wredundant-decls
        -Wnested-externs -Wpointer-arith -Wcast-align -Wformat=2 -Wimplicit-fallthrough
        -Wduplicated-cond -Wlogical-op -Wdate-time],
        [FWR_TRY_FLAG([FWR_CFLAGS], fwr_flag)])

    AC_ARG_ENABLE([werror],
        [AS_HELP_STRING([--enable-werror], [treat warnings as errors])],
        [], [enable_werror=no])
    AS_IF([test "$enable_werror" != no], [FWR_CFLAGS="$FWR_CFLAGS -Werror"])

    AC_ARG_ENABLE([sanitizers],
        [AS_HELP_STRING([--enable-sanitizers], [build with AddressSanitizer and
            UndefinedBehaviorSanitizer])],
        [], [enable_sanitizers=no])
    AS_IF([test "$enable_sanitizers" != no], [
        FWR_CFLAGS="$FWR_CFLAGS -fsanitize=address,undefined -fno-sanitize-recover=all"
        FWR_CFLAGS="$FWR_CFLAGS -fno-omit-frame-pointer"
        FWR_LDFLAGS="$FWR_LDFLAGS -fsanitize=address,undefined"])
    AM_CONDITIONAL([SANITIZERS], [test "$enable_sanitizers" != no])

    AC_ARG_ENABLE([fuzzing],
        [AS_HELP_STRING([--enable-fuzzing], [build the fuzz targets with libFuzzer; needs
            CC=clang])],
        [], [enable_fuzzing=no])
    AS_IF([test "$enable_fuzzing" != no], [
        fwr_saved_CFLAGS=$CFLAGS
        CFLAGS="$CFLAGS -fsanitize=fuzzer"
        AC_LINK_IFELSE([AC_LANG_SOURCE([[
            #include <stddef.h>
            int LLVMFuzzerTestOneInput(const unsigned char *data, size_t size);
            int LLVMFuzzerTestOneInput(const unsigned char *data, size_t size)
            { return size > 0 && data[0] == 0 ? 0 : 0; }]])],
            [], [FWR_MISSING([libFuzzer (and CC=clang)], [clang libclang-rt-14-dev])])
        CFLAGS=$fwr_saved_CFLAGS
        FWR_CFLAGS="$FWR_CFLAGS -fsanitize=fuzzer-no-link"
        FWR_LDFLAGS="$FWR_LDFLAGS -fsanitize=fuzzer-no-link"
        FWR_FUZZ_LDFLAGS=-fsanitize=fuzzer])
    AM_CONDITIONAL([FUZZING], [test "$enable_fuzzing" != no])
    AM_CONDITIONAL([INSTRUMENTED], [test "$enable_fuzzing$enable_sanitizers" != nono])
    AM_COND_IF([INSTRUMENTED], [fwr_instrumented=1], [fwr_instrumented=0])
    AC_DEFINE_UNQUOTED([FWR_INSTRUMENTED], [$fwr_instrumented],
        [1 with sanitizers or for fuzzing: sizes and times mean nothing then])

    AC_SUBST([FWR_CFLAGS])
    AC_SUBST([FWR_LDFLAGS])
    AC_SUBST([FWR_FUZZ_LDFLAGS])])
