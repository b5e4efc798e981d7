"""Simulated meters for hardware in the loop: profiles, Modbus TCP by pymodbus, RTU lines on ptys, faults, truth."""
