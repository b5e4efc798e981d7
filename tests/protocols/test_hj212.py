"""HJ 212 packets and dialogues: vectors, cuts, noise, what real stations do, splitting, resending, encryption."""

import pytest

from carbonterm.errors import FrameError
from carbonterm.field import hj212
from carbonterm.field import hj212_roles as roles
from carbonterm.field.hj212 import Decoder, packet, parse, readings
from carbonterm.field.hj212_roles import Joiner, Logger, Upper
from carbonterm.gm.sm4 import Cipher
from carbonterm.number import Number
from seeded import Random
from vectors import load

VECTORS = [v for v in load("field_frames")["vectors"] if v["protocol"].startswith("hj212")]
MN = "010000A8900016F000169DC0"
NOW = 1795208400000


def slow_crc(data):
    """As the text says it, shared with nothing: the high half takes the byte."""
    register = 0xFFFF
    for byte in data:
        register = (register // 256) ^ byte
        for _ in range(8):
            odd = register % 2
            register = register // 2
            if odd:
                register = register ^ 0xA001
    return register


def made(segment):
    """A packet by an independent encoder."""
    raw = segment.encode()
    digits = "000%d" % len(raw)
    return b"##" + digits[-4:].encode() + raw + ("%04X" % slow_crc(raw)).encode() + b"\r\n"


def one(raw, cipher=None):
    decoder = Decoder(cipher)
    packets = decoder.feed(raw)
    assert len(packets) == 1, decoder.refused
    return packets[0]


def good():
    for vector in VECTORS:
        if vector["valid"]:
            for row in vector["frames"]:
                yield vector, row, row["ascii"].encode()


def test_every_vector():
    for vector, row, raw in good():
        found = one(raw)
        decoded = vector["decoded"]
        assert "%04X" % hj212.crc(raw[6:-6]) == row["crc_computed"] and slow_crc(raw[6:-6]) == hj212.crc(raw[6:-6])
        if row is not vector["frames"][0]:
            continue
        for name in ("QN", "ST", "CN", "PW", "MN"):
            if name in decoded:
                assert found.field(name) == decoded[name]
        if "Flag" in decoded:
            assert found.flag == decoded["Flag"]
        if "version" in decoded:
            assert found.version == decoded["version"]
            assert (found.wants_ack, found.split) == (decoded["ack"], decoded["split"])
        for name, value in decoded.get("CP", {}).items():
            assert found.get(name) == value
        got = readings(found)
        print(vector["id"], found.cn, " ".join(["%s-%s %s %s" % (r.code, r.kind, r.value, r.flag) for r in got]))
        for code, fields in decoded.get("items", {}).items():
            for kind, text in fields.items():
                mine = [r for r in got if r.code == code and r.kind == kind]
                if kind == "Flag":
                    assert [r.flag for r in got if r.code == code and r.flag == text]
                elif kind == "unit":
                    assert hj212.unit(code, "Avg") == text
                elif kind == "name":
                    assert hj212.FACTORS[code][1] == text
                else:
                    assert str(mine[0].value) == text
        upper = raw[:-6] + raw[-6:].upper()
        assert packet(found.head, found.items) == upper  # written again, all is as it stood
    bad = [v for v in VECTORS if not v["valid"]]
    for vector in bad:
        decoder = Decoder()
        assert decoder.feed(vector["frames"][0]["ascii"].encode()) + decoder.flush() == []
        assert "CRC is 2800, should be D801" in str(decoder.refused)


@pytest.mark.slow
def test_every_cut_and_noise_before_give_the_same():
    for _, _, raw in good():
        for cut in range(1, len(raw)):
            decoder = Decoder()
            assert [p.raw for p in decoder.feed(raw[:cut]) + decoder.feed(raw[cut:])] == [raw]
        for noise in (b"#", b"##", b"##0", b"##0100QN=2", b"\r\n", b"\xff\x00", b"##9999", raw[:30], raw[:-3]):
            decoder = Decoder()
            assert [p.raw for p in decoder.feed(noise + raw) + decoder.flush()] == [raw]


def test_a_packet_cut_off_does_not_hold_the_next_ones():
    raw = VECTORS[0]["frames"][0]["ascii"].encode()
    decoder = Decoder()
    assert decoder.feed(b"##1000" + raw[6:]) == []
    assert [p.raw for p in decoder.feed(raw)] == [raw] and decoder.pending == 0


def test_what_real_stations_do_is_taken():
    for segment in (
        "ST=101;CN=2011;MN=1;CP=&&&&", "MN=1;CN=2011;CP=&&a-Rtd=;b-Rtd=-;c-Rtd=---&&",
        "QN=20260101000000000;ST=31;CN=2051;PW=a-long-one-indeed;MN=1;Flag=7;PNO=1;PNUM=2;CP=&&a-Rtd=1;&&",
        "CN=2011;MN=1;CP=&&DataTime=20260101000000;名-x=1&&".replace("名", "n"), "CN=2011;MN=1;CP=&&Info=中文&&",
        "CN=2051;MN=1;Flag=60;CP=&&a-EFlag=A01,a-SampleTime=20260101000000&&",
    ):  # fmt: skip
        found = one(made(segment))
        assert found.mn == "1" and [r.value for r in readings(found) if r.value not in (None, 1)] == []
    assert one(made("CN=2011;MN=1;Flag=60;CP=&&&&")).version is None
    raw = made("CN=2011;MN=1;CP=&&&&")
    assert one(raw[:-6] + raw[-6:].lower()).cn == "2011"


def test_what_breaks_a_rule_is_refused_with_the_place():
    for segment, said in (
        ("CN=2011;MN=1;", "CP=&& is missing"), ("CN=2011;MN=1;CP=&&a=1", "&& is missing"), ("CP=&&&", "&& is missing"),
        ("CN=2011;MN=1;CP=&&a&&", "'a' in the data area is no name=value"), ("CN;MN=1;CP=&&&&", "'CN' in the head"),
        ("CN=2011;CP=&&&&", "no MN"), ("MN=1;CP=&&&&", "no CN"), ("CN=11;MN=1;CP=&&&&", "CN is '11'; it has 4 digits"),
        ("CN=2011;CN=2012;MN=1;CP=&&&&", "'CN' stands twice"), ("QN=2016;CN=2011;MN=1;CP=&&&&", "QN is '2016'"),
        ("CN=2011;MN=1;CP=&&a-Rtd=1,5&&", "'5' in the data area"),
        ("CN=2011;MN=1;CP=&&a-Rtd=1.&&", "'1.' is no number"),
        ("CN=2011;MN=1;CP=&&a-Rtd=1e5&&", "a-Rtd: '1e5' is no number"), ("CN=2011;MN=1;CP=&&a-Avg=NaN&&", "no number"),
        ("CN=2011;MN=1;CP=&&DataTime=2026&&", "DataTime is '2026'"), ("CN=2011;MN=1;RF=0;CP=&&&&", "RF is '0'"),
        ("CN=2011;MN=1;CP=&&a=1&b=2&&", "& inside"), ("CN=2011;MN=;CP=&&&&", "MN is ''"),
        ("CN=2011;MN=1;CP=&&{0xE4}&&", "encrypted"), ("CN=2011;MN=1;CP=&&a b=1&&", "'a b'"),
        ("CN=2011;MN=1;CP=&&a=1=2&&", "no name=value"), ("CN=2011;MN=1CP=&&&&", "CP=&& is missing"),
    ):  # fmt: skip
        with pytest.raises(FrameError) as caught:
            parse(segment.encode())
        assert said in str(caught.value), str(caught.value)
        decoder = Decoder()
        assert decoder.feed(made(segment)) == []
    with pytest.raises(FrameError, match="not UTF-8"):
        parse(b"CN=2011;MN=1;CP=&&Info=\xd6\xd0&&")
    with pytest.raises(FrameError, match="control character"):
        parse(b"CN=2011;MN=1;CP=&&a=\x01&&")
    for raw, said in (
        (b"##0020CN=2011;MN=1;CP=&&&&", "CR LF"), (b"##0021CN=2011;MN=1;CP=&&&&0000\r\n", "the length says 21"),
        (b"##0020CN=2011;MN=1;CP=&&&&ZZZZ\r\n", "no hex"), (b"##00x0CN=2011;MN=1;CP=&&&&ZZZZ\r\n", "4 digits"),
    ):  # fmt: skip
        with pytest.raises(FrameError, match=said):
            hj212.whole(raw)
    for head, items in (([("CN", "2011"), ("MN", "1;")], []), ([("CN", "2011"), ("MN", 1)], [[("a", "1,b=2")]]),
                        ([("CN", "2011"), ("MN", 1)], [[("a", "x" * 951)]])):  # fmt: skip
        with pytest.raises(FrameError):
            packet(head, items)


def test_flags_and_units():
    assert [hj212.flag(v, a, s) for v, a, s in (("2005", 0, 0), ("2017", 0, 0), ("2017", 1, 0), ("2017", 1, 1),
                                                ("2025", 0, 0), ("2025", 1, 1))] == [0, 4, 5, 7, 8, 11]  # fmt: skip
    with pytest.raises(FrameError, match="version '2026'"):
        hj212.flag("2026")
    assert (hj212.unit("a05001", "Avg"), hj212.unit("a05001", "Cou"), hj212.unit("a00000", "Cou")) == (
        "mg/m3", "kg", "m3")  # fmt: skip
    assert hj212.unit("zz", "Avg") is None and hj212.unit("a01011", "Cou") is None


def items(count=7, at="20260101000000"):
    return [[("DataTime", at)]] + [
        [("a%05d-Avg" % i, "%d.5" % i), ("a%05d-Flag" % i, "N")] for i in range(1, count)
    ]  # fmt: skip


def test_an_upload_goes_again_until_it_is_acknowledged():
    logger, upper = Logger(MN, "123456", "31"), Upper(MN, "123456", "31")
    # a CEMS with CO2: made, not real (no capture with a05001 was found)
    data = [[("DataTime", "20261121040000")], [("a05001-Avg", "198210.5"), ("a05001-Flag", "N")]]
    qns = logger.upload("2051", data, NOW)
    (first,) = logger.poll(NOW)
    assert logger.poll(NOW + 9999) == [] and logger.poll(NOW + 10000) == [first]
    found = one(first)
    assert found.qn == qns[0] and found.flag == 5 and readings(found)[0].value == Number("198210.5")
    assert upper.receive(found, NOW) == roles.DATA
    answer = one(upper.acknowledge(found))
    assert (answer.cn, answer.qn, answer.flag, answer.st) == ("9014", found.qn, 4, "91")
    assert upper.receive(one(first), NOW) == roles.AGAIN  # the copy: acknowledged again, stored once
    assert logger.receive(answer, NOW + 10001) == roles.ACKNOWLEDGED and logger.waiting == 0
    assert logger.receive(answer, NOW + 10002) == roles.OTHER  # late
    assert logger.poll(NOW + 99999) == [] and logger.lost == []
    logger.upload("2011", items(), NOW)
    sent = 0
    for step in range(8):
        sent += len(logger.poll(NOW + 10000 * step))
    assert sent == 4 and len(logger.lost) == 1 and logger.waiting == 0
    logger.upload("2011", items(), NOW, ack=False)
    logger.upload("2011", items(), NOW, ack=False)
    assert [one(raw).flag for raw in logger.poll(NOW)] == [4, 4] and logger.waiting == 0


def test_long_data_is_split_and_joined_in_any_order():
    for version, again in (("2017", False), ("2025", True)):
        logger, joiner = Logger(MN, "123456", "31", version), Joiner()
        data = items(60)
        qns = logger.upload("2061", data, NOW, again=again)
        packets = []
        for _ in qns:
            (raw,) = logger.poll(NOW)
            packets.append(one(raw))
            assert len(raw) <= 1024 + 12
            answer = Upper(MN, "123456", "31", version).acknowledge(packets[-1])
            assert logger.receive(one(answer), NOW) == roles.ACKNOWLEDGED
        assert len(packets) > 2 and [p.qn for p in packets] == qns and len({p.key for p in packets}) == len(packets)
        assert [p.pno for p in packets] == list(range(1, len(packets) + 1)) and packets[0].again == again
        assert packets[0].flag == (11 if version == "2025" else 7)
        last = packets.pop(0)
        assert [joiner.feed(p) for p in packets + [packets[0]]] == [None] * (len(packets) + 1)
        assert joiner.feed(last) == data and joiner.incomplete == 0
        joiner.feed(packets[0])
        assert joiner.feed(one(made("CN=2061;MN=%s;PNUM=2;PNO=1;CP=&&DataTime=20270101000000&&" % MN))) is None
        assert joiner.incomplete == 1
    with pytest.raises(FrameError, match="part 3 of 2"):
        joiner.feed(one(made("CN=2061;MN=1;PNUM=2;PNO=3;CP=&&&&")))
    with pytest.raises(FrameError, match="a packet has room for"):
        logger.upload("2061", [[("DataTime", "20260101000000")], [("Info", "x" * 700)]], NOW)
    bounded = Joiner(2)
    for i in range(5):
        bounded.feed(one(made("CN=2061;MN=%d;PNUM=2;PNO=1;CP=&&&&" % i)))
    assert bounded.incomplete == 3


def test_a_request_goes_its_way():
    logger, upper = Logger(MN, "123456", "31"), Upper(MN, "123456", "31")
    asked = one(upper.ask_history("2051", NOW - 3600000, NOW, NOW))
    print(hj212.area_of(asked.items), asked.flag)
    assert asked.get("EndTime") == "20261121050000"
    with pytest.raises(FrameError, match="a request is open"):
        upper.set_time(NOW)
    assert logger.receive(asked, NOW) == roles.REQUEST and logger.fault(asked) == 0
    assert upper.receive(one(logger.accept(asked)), NOW) == roles.ANSWER and upper.state == roles.WORKING
    logger.upload("2051", items(), NOW)
    (raw,) = logger.poll(NOW)
    assert upper.receive(one(raw), NOW + 9000) == roles.DATA
    assert upper.poll(NOW + 18000) == [] and upper.state == roles.WORKING
    assert upper.receive(one(logger.finish(asked)), NOW) == roles.RESULT and upper.state == roles.DONE
    assert upper.receive(one(logger.finish(asked)), NOW) == roles.OTHER
    timed = one(upper.set_time(NOW))
    assert timed.get("SystemTime") == "20261121050000" and timed.qn != asked.qn
    assert upper.receive(one(logger.accept(asked)), NOW) == roles.OTHER  # the answer to the request before
    assert upper.receive(one(logger.accept(timed, 2)), NOW) == roles.ANSWER and upper.state == roles.REFUSED
    again = upper.ask("1011", [], NOW)
    assert [upper.poll(NOW + 10000 * i) for i in range(1, 5)] == [[again]] * 3 + [[]] and upper.state == roles.TIMED_OUT
    upper.ask("1011", [], NOW)
    upper.receive(one(logger.accept(one(upper.poll(NOW + 10000)[0]))), NOW)
    assert upper.receive(one(logger.finish(one(upper._open[1]), 100)), NOW) == roles.RESULT
    assert (upper.state, upper.code) == (roles.FAILED, 100)


def test_wrong_requests_are_refused_with_their_code():
    logger = Logger(MN, "123456", "31")
    head = "QN=20260101000000000;ST=%s;CN=%s;PW=%s;MN=" + MN + ";Flag=5;CP=&&OverTime=5;ReCount=1&&"
    for fields, code in ((("31", "1011", "123456"), 1), (("31", "1011", "0"), 3), (("32", "1011", "123456"), 5),
                         (("31", "7777", "123456"), 8)):  # fmt: skip
        request = one(made(head % fields))
        assert logger.receive(request, NOW) == roles.REQUEST
        assert one(logger.accept(request)).get("QnRtn") == str(code)
    logger.receive(one(made(head % ("31", "1000", "0"))), NOW)
    assert (logger.timeout_ms, logger.resends) == (10000, 3)  # with a wrong PW nothing is set
    logger.receive(one(made(head % ("31", "1000", "123456"))), NOW)
    assert (logger.timeout_ms, logger.resends) == (5000, 1)
    other = one(made("CN=1011;MN=2;CP=&&&&"))
    assert logger.receive(other, NOW) == roles.FOREIGN == Upper(MN, "1", "31").receive(other, NOW)


def test_copies_are_told_apart_by_their_key():
    upper = Upper("1", "1", "31", remembered=3)
    first = one(made("CN=2011;MN=1;CP=&&DataTime=20260101000000;a-Rtd=1&&"))  # a station without QN
    other = one(made("CN=2011;MN=1;CP=&&DataTime=20260101000000;b-Rtd=1&&"))
    assert one(upper.acknowledge(first)).qn is None
    assert (upper.receive(first, 0), upper.receive(other, 0)) == (roles.AGAIN, roles.DATA)
    for i in range(3):
        upper.acknowledge(one(made("CN=2011;MN=1;CP=&&DataTime=2026010100000%d&&" % i)))
    assert upper.receive(first, 0) == roles.DATA  # forgotten: the memory is bounded


@pytest.mark.slow
def test_the_data_area_of_2025_encrypted():
    cipher = Cipher(b"0" * 16)
    head = [("QN", "20240601085857223"), ("ST", "31"), ("CN", "2011"), ("PW", "123456"), ("MN", MN), ("Flag", 9)]
    for data in (items(8), items(2), [[("DataTime", "20260101000000")]], []):
        plain, sent = packet(head, data), packet(head, data, cipher)
        assert sent[:6] == plain[:6] and sent[-6:] == plain[-6:]  # length and CRC of the text in clear (annex A.2)
        real = b"##%04d" % (len(sent) - 12) + sent[6:]
        for raw in (sent, real):
            found = one(raw, cipher)
            assert found.items == data and hj212.area_of(found.items).encode() in plain
            if len(raw) == len(plain):
                continue
            for cut in range(1, len(raw), 7):
                decoder = Decoder(cipher)
                assert [p.raw for p in decoder.feed(raw[:cut]) + decoder.feed(raw[cut:])] == [raw]
            decoder = Decoder()
            assert decoder.feed(raw) + decoder.flush() == []
            with pytest.raises(FrameError, match="hand in the station's key"):
                hj212.whole(raw)
            broken = Decoder(Cipher(b"1" * 16))
            assert broken.feed(raw) + broken.flush() == []
            assert one(plain, cipher).items == data
    sent = packet(head, items(8), cipher)
    for old, new in ((b"{0x", b"{0z"), (b",", b";"), (b"}", b""), (b"0x", b"0xA")):
        decoder = Decoder(cipher)
        assert decoder.feed(sent.replace(old, new)) + decoder.flush() == []
    segment = b"CP=&&{" + b",".join([b"0x12"] * 15) + b",%s}&&"
    for byte in (b"0x\r\n", b"0x 1", b"0x1 ", b"0x+1", b"0x1", b"0x111"):
        with pytest.raises(FrameError, match="not like 0xE4"):
            hj212.decrypted(segment.replace(b"%s", byte), cipher)


def fuzz(seed, rounds):
    random = Random(seed)
    digest = total = wanted = 0
    for i in range(rounds):
        line, sent = b"", []
        for _ in range(5):
            n = random.between(1, 12)
            area = ";".join(["a%05d-Rtd=%d.%d" % (random.below(99999), random.below(9999), j) for j in range(n)])
            raw = made("QN=2026010100000%04d;ST=31;CN=2011;MN=%d;Flag=5;CP=&&%s&&" % (random.below(9999), i, area))
            line += random.choice((b"", b"", b"#", b"##", b"##00", b"\r\n", random.bytes(9)))
            kind = random.below(6)
            if kind == 0:
                line += raw[: random.below(len(raw))]
            elif kind == 1:
                at = random.below(len(raw))
                line += raw[:at] + bytes((raw[at] ^ 1 << random.below(8),)) + raw[at + 1 :]
            else:
                sent.append(raw)
                line += raw
        decoder, found, at = Decoder(), [], 0
        while at < len(line):
            step = random.between(1, 200)
            found += decoder.feed(line[at : at + step])
            at += step
            assert decoder.pending <= 1036
        found += decoder.flush()
        whole = Decoder()
        raws = [p.raw for p in found]
        assert [p.raw for p in whole.feed(line) + whole.flush()] == raws, "seed %d, round %d" % (seed, i)
        for p in found:
            assert slow_crc(p.raw[6:-6]) == int(p.raw[-6:-2].decode(), 16)
            digest = (digest * 31 + slow_crc(p.raw) + len(readings(p))) & 0xFFFFFF
        wanted += len(sent)
        total += len([raw for raw in sent if raw in raws])
    print(total, wanted, "%06x" % digest)
    assert total == wanted


def test_fuzz():
    fuzz(212, 15)


@pytest.mark.slow
def test_fuzz_long():
    fuzz(2120, 400)
