"""What tools/rp2040 freezes into the image: the mount of board.toml's file system, the chip's module, asyncio."""

freeze("$(BOARD_DIR)/frozen")  # noqa: F821 - MicroPython's makemanifest.py reads this
freeze("$(PORT_DIR)/modules", "rp2.py")  # noqa: F821
include("$(MPY_DIR)/extmod/asyncio")  # noqa: F821
