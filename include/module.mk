# SPDX-License-Identifier: Apache-2.0
pkginclude_HEADERS += include/fwrecover/error.h
nodist_pkginclude_HEADERS += include/fwrecover/version.h
