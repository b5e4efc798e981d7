"""The device's side of a bench in simulated time; runs on MicroPython."""
