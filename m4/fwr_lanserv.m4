# SPDX-License-Identifier: Apache-2.0
# FWR_CHECK_LANSERV: is this the interface of OpenIPMI's lanserv that our module is written
# for? Up to 2.0.33 the functions that register command handlers take no emu_data_t; later
# versions put one in front. Sets fwr_cv_lanserv to yes or no. Call after OPENIPMI is known.
AC_DEFUN([FWR_CHECK_LANSERV], [
    AC_CACHE_CHECK([whether lanserv's handlers are registered as in OpenIPMI 2.0.33],
        [fwr_cv_lanserv], [
        fwr_saved_CFLAGS=$CFLAGS
        CFLAGS="$CFLAGS $OPENIPMI_CFLAGS -Werror"
        AC_COMPILE_IFELSE([AC_LANG_PROGRAM([[
            #include <stdio.h>
            #include <OpenIPMI/mcserv.h>
            #include <OpenIPMI/lanserv.h>
            typedef int (*register_iana)(uint32_t, cmd_handler_f, void *);
            ]], [[
            register_iana call = ipmi_emu_register_iana_handler;
            return call == 0;
            ]])],
            [fwr_cv_lanserv=yes], [fwr_cv_lanserv=no])
        CFLAGS=$fwr_saved_CFLAGS])])
