"""Field protocols: bytes of meters to readings and back. Both roles, no I/O."""
