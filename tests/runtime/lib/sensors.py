"""A meter model of one's own for tests: an analyser or weather station, a register for each kind of sensor."""


def model(**units_of):
    """The model as a dict; other units by the registers' names."""
    rows = (("temperature", "temperature", "°C"), ("humidity", "humidity", "%"), ("co2", "concentration", "mg/m3"),
            ("flow", "volume flow", "m3/h"), ("wind", "velocity", "m/s"), ("pressure", "pressure", "kPa"))  # fmt: skip
    return {
        "id": "sensors", "maker": "own", "model": "sensors", "protocol": "modbus", "medium": "other",
        "ratios": "direct",
        "source": {"document": "own map", "via": "written down", "confidence": "simulated"}, "notes": "for tests",
        "serial": {"baud": 9600, "parity": "none", "stop": 1}, "max_registers": 60,
        "registers": [
            {"name": name, "title_zh": name, "quantity": quantity, "unit": units_of.get(name, unit), "function": 3,
             "address": 2 * place, "type": "float32", "order": "ABCD", "scale": "1", "modulus": None, "kind": "instant",
             "min": None, "max": None, "source": "own map"} for place, (name, quantity, unit) in enumerate(rows)
        ],
    }  # fmt: skip
