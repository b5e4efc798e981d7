"""What a board does from its reset to its prompt: file systems, boot.py, main.py. micropython -i start.py STATE.json"""

import os
import sys

sys.path.insert(0, sys.argv[0].rsplit("/", 1)[0])


def _prepare():
    import simulated_chip as chip

    chip.load(sys.argv[1])
    import machine  # noqa: F401 - it stands before the unix port's own from here on
    import network  # noqa: F401
    import rom

    family = chip.about["family"]
    __import__({"esp32": "esp32", "stm32": "pyb"}.get(family, "rp2"))
    sys.modules["vfs"] = rom
    rom.umount("/")
    room = chip.partition("vfs")
    program = 256 if family == "rp2" else 32
    try:
        mounted = rom.VfsLfs2(chip.Region(*room), progsize=program)
    except OSError:
        print("the data partition holds no file system: it is made")
        rom.VfsLfs2.mkfs(chip.Region(*room), progsize=program)
        mounted = rom.VfsLfs2(chip.Region(*room), progsize=program)
    rom.mount(mounted, "/")
    rom.load()
    os.chdir("/")
    sys.path[:] = ["", ".frozen", "/lib", "/rom", "/rom/lib"]
    del sys.argv[:]
    chip.tell("ready")
    return chip.about["raw"]


def _run(name):
    try:
        with open(name) as file:
            text = file.read()
    except OSError:
        return
    try:
        exec(compile(text, name, "exec"), globals())
    except SystemExit:
        raise
    except BaseException as error:
        sys.print_exception(error)


_raw = _prepare()
_run("boot.py")
if not _raw:
    _run("main.py")
