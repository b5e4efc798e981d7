"""The words of the firmware's command line on a computer."""


def parsed(argv):
    """{name: value} of --name VALUE …; those that take none have ""."""
    options, i = {}, 0
    while i < len(argv):
        name = argv[i].lstrip("-")
        if name in ("console", "init", "desk"):
            options[name] = ""
        elif i + 1 < len(argv):
            i += 1
            options[name] = argv[i]
        i += 1
    return options


def read(path):
    """The bytes of a file."""
    with open(path, "rb") as file:
        return file.read()
