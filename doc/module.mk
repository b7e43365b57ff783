# SPDX-License-Identifier: Apache-2.0
dist_doc_DATA += doc/WIRE.md
if TOOLS
dist_man_MANS += doc/fwrecover.1
endif
