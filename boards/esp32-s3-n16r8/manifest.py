include("../manifest.py")  # noqa: F821 - MicroPython's manifest language
