"""The raw ring on simulated NOR flash: the storage's contract, mounts, wear, damage, refusals."""

import pytest

from carbonterm.errors import LedgerError
from carbonterm_device.ring import Ring, RingAndFolder
from memory_storage import MemoryStorage
from nor import Nor
from seeded import Random

A, B, C = "00000-0000000000.seg", "00000-0000000007.seg", "00001-0000000000.seg"


def contents(ring):
    return {name: ring.read(name, 0, ring.size(name)) for name in sorted(ring.names())}


@pytest.mark.slow
@pytest.mark.requirement("T-12.4-2", part="the raw ring")
@pytest.mark.parametrize("block, program", [(512, 1), (512, 16), (1024, 256), (4096, 256)])
def test_against_a_model(block, program):
    """Random appends, reads, removals and mounts give what a storage in memory gives; wear stays level."""
    random, model = Random(block + program), MemoryStorage()
    flash = Nor(block, 24)
    ring, names, made = Ring(flash, program), [], 0
    for _ in range(500):
        act = random.below(10)
        if act < 5:
            if not names or (random.below(6) == 0 and len(names) < 4):
                names.append("00000-%010d.seg" % made)
                made += 1
            data = random.bytes(random.between(1, block * 2))
            try:
                ring.append(names[-1], data)
                ring.sync(names[-1])
                model.append(names[-1], data)
            except OSError as error:
                assert error.errno == 28
                act = 5
        if act == 5 and names:
            name = names.pop(0)
            if name in model.names():
                ring.remove(name)
                model.remove(name)
        elif act == 6:
            ring = Ring(flash, program)
        elif act > 6 and model.names():
            name = random.choice(model.names())
            offset, size = random.below(model.size(name) + 10), random.below(3 * block)
            assert ring.read(name, offset, size) == model.read(name, offset, size)
            assert ring.size(name) == model.size(name)
        assert sorted(ring.names()) == sorted(model.names())
    again = Ring(flash, program)
    assert contents(again) == {name: bytes(model.files[name]) for name in model.names()} == contents(ring)
    assert flash.misused == 0 and max(flash.erased) > 2 and max(flash.erased) - min(flash.erased) <= 3
    assert again.free() == ring.free()
    print(block, program, made, flash.erased, ring.free())


def test_full():
    """ENOSPC before anything is written; what was freed is used again, in the circle's order."""
    flash = Nor(512, 8)
    ring = Ring(flash, 16)
    free, whole = ring.free()
    assert (free, whole) == (8 * 476, 4096)
    ring.append(A, b"a" * 1800)
    before = bytes(flash.data)
    with pytest.raises(OSError) as caught:
        ring.append(B, b"b" * 3000)
    assert caught.value.errno == 28 and bytes(flash.data) == before and ring.names() == [A]
    ring.append(B, b"b" * 1800)
    ring.remove(A)
    ring.append(C, b"c" * 1600)
    assert contents(Ring(flash, 16)) == {B: b"b" * 1800, C: b"c" * 1600}
    print(ring.free(), flash.erased)


@pytest.mark.parametrize("bad", [[3], [3, 4, 5], [0, 1, 2, 3, 4]])
def test_worn_blocks(bad):
    """A block that fails, with or without saying so, is passed over and nothing is lost."""
    for silent in (False, True):

        class Worn(Nor):
            def writeblocks(self, block, buffer, offset=0, silent=silent):
                if block in bad:
                    return 0 if silent else -5
                return Nor.writeblocks(self, block, buffer, offset)

        flash = Worn(512, 16)
        ring = Ring(flash, 16)
        ring.append(A, b"a" * 1000)
        ring.append(A, b"b" * 1000)
        ring.append(B, b"c" * 500)
        expected = {A: b"a" * 1000 + b"b" * 1000, B: b"c" * 500}
        assert contents(ring) == contents(Ring(flash, 16)) == expected
        print(flash.erased, ring.free())


def test_a_dead_device():
    """When nothing can be written any more, the write fails; what was there is read as before."""
    alive = [True]
    flash = Nor(512, 16, after=lambda what: None if alive[0] or what == "read" else 1)
    ring = Ring(flash, 16)
    ring.append(A, b"a" * 700)
    alive[0] = False
    for name in (A, B):
        with pytest.raises(OSError) as caught:
            ring.append(name, b"b" * 700)
        assert caught.value.errno == 5
    assert contents(ring)[A][:700] == b"a" * 700
    with pytest.raises(OSError):
        Ring(Nor(512, 16, after=lambda what: 0), 16)
    alive[0] = True
    again = Ring(flash, 16)
    assert contents(again)[A][:700] == b"a" * 700
    again.append(C, b"c")
    assert contents(Ring(flash, 16))[C] == b"c"


@pytest.mark.slow
@pytest.mark.requirement("T-12.4-2", part="damage in the raw ring")
def test_any_flipped_bit():
    """A flipped bit changes a byte or is not seen, but no byte moves to another place, and the ring stays usable."""
    flash = Nor(256, 8)
    ring = Ring(flash, 1)
    first, second = Random(1).bytes(500), Random(2).bytes(600)
    ring.append(A, first[:100])
    ring.append(A, first[100:])
    ring.append(B, second)
    image, moved, changed = bytes(flash.data), 0, 0
    for at in range(0, 8 * 2048, 7):
        data = bytearray(image)
        data[at >> 3] ^= 1 << (at & 7)
        found = contents(Ring(Nor(256, 8, data), 1))
        assert set(found) <= {A, B}
        for name, whole in ((A, first), (B, second)):
            have = found.get(name, b"")
            changed += have != whole
            same = 0
            for x, y in zip(have, whole):
                same += x == y
            if have and same < len(have) - 224:  # more than one block's worth is wrong
                moved += 1
    assert moved == 0
    print(changed)


def test_garbage():
    """Whatever is on the flash, a mount reads it, and the ring can be written."""
    random = Random(3)
    for _ in range(60):
        flash = Nor(256, 8)
        ring = Ring(flash, 1)
        ring.append(A, random.bytes(600))
        for _ in range(random.below(40)):
            flash.data[random.below(2048)] = random.below(256)
        ring = Ring(flash, 1)
        contents(ring)
        ring.append(C, b"whole")
        assert contents(Ring(flash, 1))[C] == b"whole"


def test_refusals():
    for block, count, program in ((512, 3, 16), (512, 16, 0), (512, 16, 24), (256, 16, 256), (65536, 16, 256)):
        with pytest.raises(LedgerError) as caught:
            Ring(Nor(block, count, b""), program)
        print(caught.value)
    ring = Ring(Nor(512, 8), 16)
    both = RingAndFolder(ring, MemoryFolder())
    for name in ("00000.key", "00000-0000000000.ckp", "0000x-0000000000.seg", "", "00000-00000000000.seg"):
        with pytest.raises(LedgerError, match="segments only"):
            ring.append(name, b"a")
    for act in (ring.size, ring.sync, ring.remove, lambda name: ring.read(name, 0, 1)):
        with pytest.raises(OSError) as caught:
            act(A)
        assert caught.value.errno == 2
    both.append(A, b"segment")
    both.replace("00000.key", b"key")
    both.append("00000-0000000000.ckp", b"text")
    both.sync("00000-0000000000.ckp")
    assert sorted(both.names()) == [A[:-3] + "ckp", A, "00000.key"]
    assert ring.names() == [A] and both.read(A, 3, 9) == b"ment" and both.size("00000.key") == 3
    with pytest.raises(LedgerError, match="cannot be replaced"):
        both.replace(A, b"")
    both.remove(A)
    both.remove("00000.key")
    both.close()
    assert both.names() == [A[:-3] + "ckp"]


class MemoryFolder(MemoryStorage):
    path = "memory"

    def close(self):
        pass
