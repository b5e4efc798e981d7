# Freezes the whole firmware into a base MicroPython, instead of a ROMFS beside it:
#   make -C ports/PORT BOARD=NAME FROZEN_MANIFEST=…/boards/<name>/manifest.py
metadata(description="carbonterm firmware", version="0.1.0")  # noqa: F821 - MicroPython's manifest language
include("$(BOARD_DIR)/manifest.py")  # noqa: F821
package("carbonterm", base_path="../protocols")  # noqa: F821
package("carbonterm_device", base_path="../firmware")  # noqa: F821
