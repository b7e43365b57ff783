# SPDX-License-Identifier: Apache-2.0
dist_doc_DATA += doc/WIRE.md doc/SECURITY.md
if TOOLS
dist_man_MANS += doc/fwrecover.1
endif
