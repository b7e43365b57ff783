# SPDX-License-Identifier: Apache-2.0
check_PROGRAMS += tests/e2e/rmcp_ask tests/e2e/rmcp_respond
check_scripts += tests/e2e/rmcp_interop
EXTRA_DIST += tests/e2e/tool.bash
if TOOLS
check_scripts += tests/e2e/tool_image tests/e2e/tool_serve
endif
check_PROGRAMS += tests/e2e/media_client
check_scripts += tests/e2e/media
EXTRA_DIST += tests/e2e/lab.py
if OPENIPMI
if TOOLS
check_scripts += tests/e2e/sim_recover tests/e2e/demo
endif
endif
