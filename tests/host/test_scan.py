"""carbonterm scan and probe on simulated lines: rates, crowds, noise, echoes, nothing there, devices that are none."""

import json

import pytest

import patience
from carbonterm.field import dlt645, models
from carbonterm.number import Number
from carbonterm_host import desk, recognise
from carbonterm_host.commands import scan as scan_command
from carbonterm_host.screen import Failure
from carbonterm_host.simulate.meter import Meter
from carbonterm_host.simulate.site import Simulation, six_meters
from carbonterm_host.simulate.tcp import TcpServer
from commandline import carbonterm
from ptyline import PtyLine, cjt188_meter, collide, dlt645_meter, modbus_meter

HEAT = bytes.fromhex("05192853000519285300170000000035000000002C42331800031900101900612700265723310315200301")
QUICK = {"do": "scan", "timeout_ms": 80, "wildcard_ms": 80, "settings": [[19200, "even", 1]]}


def found_in(events):
    return [(event["protocol"], event["unit"]) for event in events if event["event"] == "found"]


def scan(line, **question):
    with desk.Desk.at(line.path) as asked:
        question = QUICK | question
        return list(asked.ask(question | {name: patience.of(question[name]) for name in ("timeout_ms", "wildcard_ms")}))


# --- finding ---------------------------------------------------------------------------------------------------------


@pytest.mark.slow
@patience.unhurried
def test_meters_of_all_kinds_at_their_rates_and_their_models():
    gas = {(3, 100): ("12345", "uint64", "ABCD")}
    meters = [
        dlt645_meter("201000000012", 9600, {"00010000": "1.00", "02010200": "230.00"}),
        cjt188_meter("42590008210438", HEAT, baud=19200),
        modbus_meter(3, gas, 19200),
    ]
    with PtyLine(meters) as line:
        code, out, err = carbonterm(
            "scan", line.path, "--baud", "19200", "--baud", "9600", "--parity", "even", "--units", "1-4",
            "--timeout", patience.of(80), "--wildcard-timeout", patience.of(150), "--json",
        )  # fmt: skip
        requests = {data for _, data in line.asked}
    told = json.loads(out)
    assert code == 0 and not err and told["crowds"] == []
    rows = {row["protocol"]: row for row in told["found"]}
    assert set(rows) == {"dlt645-2007", "dlt645-1997", "cjt188", "modbus"}, told
    assert (rows["dlt645-2007"]["baud"], rows["dlt645-2007"]["unit"]) == (9600, "201000000012")
    assert [m["model"] for m in rows["dlt645-2007"]["models"]] == ["dlt645-2007-three-phase"]
    assert rows["cjt188"]["unit"] == "42590008210438" and rows["cjt188"]["dialect"][0] == 0x20
    assert [m["model"] for m in rows["cjt188"]["models"]] == ["cjt188-heat-unit-first"]
    assert (rows["modbus"]["unit"], rows["modbus"]["baud"]) == (3, 19200)
    assert requests, "nothing was asked"


@pytest.mark.slow
@patience.unhurried
def test_a_crowd_is_taken_apart_by_the_last_digits():
    addresses = ["201000000012", "201000000013", "000000004412"]
    with PtyLine([dlt645_meter(address, 19200) for address in addresses]) as line:
        events = scan(line, protocols=["dlt645-2007"], wildcard_ms=60)
        assert sorted(found_in(events)) == sorted(("dlt645-2007", address) for address in addresses)
        crowds = [event["tail"] for event in events if event["event"] == "crowd"]
        left = [event["left_ms"] for event in events if event["event"] == "progress"]
        # 1 for all, 100 for the last two digits, 100 for those that end with 12; a crowd is asked three times,
        # and then nobody is
        assert len(line.asked) == 201 + 3 * len(crowds)
    assert crowds == ["", "12"] and left and min(left) < 2000 < max(left)


def test_answers_that_collide_are_no_answer():
    answers = [dlt645_meter(address)[1] for address in ("201000000012", "201000000013")]
    asked = dlt645.frame(dlt645.WILDCARD, dlt645.address_request())
    both = collide([answer(asked) for answer in answers])
    assert dlt645.Decoder(dlt645.MASTER).feed(both) == []


@pytest.mark.slow
@patience.unhurried
def test_meters_without_shortened_addresses_stay_a_crowd():
    meters = [dlt645_meter(address, 19200, shortened=False) for address in ("000000000012", "000000000077")]
    with PtyLine(meters) as line:
        events = scan(line, protocols=["dlt645-2007"], wildcard_ms=30)
    assert found_in(events) == [] and [e["tail"] for e in events if e["event"] == "crowd"] == [""]


@pytest.mark.slow
@pytest.mark.parametrize("burst", [b"\x00", b"\x55" * 30, b"\x68\x12\x00\x00\x00\x10\x20\x68\x93\x06", b"\xfe" * 9])
@patience.unhurried
def test_a_noise_is_no_crowd(burst):
    with PtyLine([dlt645_meter("201000000012", 19200)], bursts=[burst]) as line:
        events = scan(line, protocols=["dlt645-2007"], wildcard_ms=150)
        assert found_in(events) == [("dlt645-2007", "201000000012")]
        assert len(line.asked) <= 2
    assert not [event for event in events if event["event"] == "crowd"]


@pytest.mark.slow
@patience.unhurried
def test_a_line_that_echoes():
    with PtyLine([modbus_meter(2, baud=19200), dlt645_meter("000000000001", 19200)], echo=True) as line:
        events = scan(line, protocols=["dlt645-2007", "modbus"], to=3, wildcard_ms=150)
    assert found_in(events) == [("dlt645-2007", "000000000001"), ("modbus", 2)]
    assert not [event for event in events if event["event"] == "crowd"]


@pytest.mark.slow
@patience.unhurried
def test_two_meters_with_one_unit_are_a_crowd():
    meters = [modbus_meter(2, {(3, 0): (text, "uint16", "ABCD")}, 19200) for text in ("100", "7777")]
    with PtyLine(meters) as line:
        events = scan(line, protocols=["modbus"], to=3)
    assert found_in(events) == [] and [e["tail"] for e in events if e["event"] == "crowd"] == ["2"]


@pytest.mark.slow
@patience.unhurried
def test_a_wrong_rate_is_told_as_noise_and_nothing_is_found():
    with PtyLine([dlt645_meter("000000000001", 2400)], noise=b"\xff\x00\xe6\x9e") as line:
        events = scan(line, protocols=["cjt188", "dlt645-2007"], wildcard_ms=20)
        crowd = next(e for e in scan(line, protocols=["modbus"], to=1) if e["event"] == "crowd")
    assert [e["bytes"] for e in events if e["event"] == "noise"] == [4, 4] and found_in(events) == []
    assert crowd["bytes"] == 4


@pytest.mark.slow
@patience.unhurried
def test_a_cjt188_meter_with_the_identifier_the_other_way_round():
    with PtyLine([cjt188_meter("42590008210438", HEAT, baud=19200, only="1F 90")]) as line:
        (found,) = [e for e in scan(line, protocols=["cjt188"], wildcard_ms=150) if e["event"] == "found"]
    assert found["dialect"] == [0x20, "1F 90", True]


@pytest.mark.slow
@patience.unhurried
def test_thorough_asks_by_function_4_too():
    def input_registers_only(data):
        answer = modbus_meter(2, {(4, 0): ("1", "uint16", "ABCD")})[1]
        return answer(data) if data[1] == 4 else None

    with PtyLine([(19200, input_registers_only)]) as line:
        assert found_in(scan(line, protocols=["modbus"], to=3)) == []
        assert found_in(scan(line, protocols=["modbus"], to=3, thorough=True)) == [("modbus", 2)]


@pytest.mark.slow
@patience.unhurried
def test_nothing_there():
    with PtyLine([]) as line:
        times = ("--timeout", patience.of(30), "--wildcard-timeout", patience.of(30))
        words = ("--baud", "9600", "--parity", "none", "--units", "1-2", *times)
        code, out, _ = carbonterm("scan", line.path, *words, lang="zh")
        assert len(line.asked) == 2 + 1 + 3 + 2
    assert code == 1 and "没有仪表应答" in out


# --- models ----------------------------------------------------------------------------------------------------------


@pytest.mark.slow
@patience.unhurried
def test_models_of_a_simulated_plant_are_recognised():
    with six_meters(seed=3) as plant:
        for bus in plant.buses:
            if not hasattr(bus, "port"):
                continue
            with desk.Desk.at(f"127.0.0.1:{bus.port}") as asked:
                question = {"do": "scan", "from": 1, "to": 3, "timeout_ms": patience.of(150)}
                found = [e for e in asked.ask(question) if "unit" in e]
                ((unit, meter),) = bus.meters.items()
                assert [row["unit"] for row in found] == [unit]
                wanted = meter.model["id"]
                named = [row.model["id"] for row in recognise.candidates(asked, found[0])]
                quantities = {register["quantity"] for register in models.load(wanted)["registers"]}
                if quantities & {"voltage", "frequency"}:
                    assert wanted in named, (wanted, named)


@pytest.mark.slow
@patience.unhurried
def test_of_models_that_share_a_map_those_are_left_that_it_can_be():
    for wanted, others in (("eastron-sdm630", ["eastron-sdm72-v2"]), ("chint-dtsu666", [])):
        with Simulation([TcpServer("lan", [Meter("m", 1, models.load(wanted))])]) as plant:
            place = f"127.0.0.1:{plant.buses[0].port}"
            with desk.Desk.at(place) as asked:
                named = recognise.candidates(asked, {"protocol": "modbus", "unit": 1})
            assert [one.model["id"] for one in named] == [wanted, *others]
            code, out, _ = carbonterm("scan", place, "--units", "1-1", "--timeout", patience.of(150), lang="en")
            assert code == 0 and ("one of" in out) == bool(others)


@pytest.mark.slow
@patience.unhurried
def test_a_model_of_one_phase_and_of_1997():
    with PtyLine([dlt645_meter("000000000012", 19200)]) as line, desk.Desk.at(line.path) as asked:
        found = {"protocol": "dlt645-2007", "unit": "000000000012", "baud": 19200, "parity": "even", "stop": 1}
        (one,) = recognise.candidates(asked, found)
        assert one.model["id"] == "dlt645-2007-single-phase"
        (one,) = recognise.candidates(asked, found | {"protocol": "dlt645-1997"})
        assert one.model["id"] == "dlt645-1997" and one.row()["evidence"]


# --- probing ---------------------------------------------------------------------------------------------------------


@pytest.mark.slow
@pytest.mark.parametrize("lang", ["en", "zh"])
@patience.unhurried
def test_probe_puts_the_displays_value_first(lang):
    with PtyLine([modbus_meter(5, {(4, 6): ("-12.5", "float32", "CDAB")}, 9600)]) as line:
        words = ("probe", line.path, "--unit", "5", "--function", "4", "--address", "6", "--expect=-12.5")
        code, out, _ = carbonterm(*words, "--json")
        told = json.loads(out)
        assert code == 0 and told["data"] == "0000C148"
        best = told["views"][0]
        assert (best["type"], best["order"], best["place"], best["match"]) == ("float32", "CDAB", 6, "shown")
        code, out, _ = carbonterm(*words, lang=lang)
        assert code == 0 and ("与显示一致" if lang == "zh" else "the display") in out
        assert carbonterm(*words[:-1], "--expect=4711.08")[0] == 1


@pytest.mark.slow
@patience.unhurried
def test_probe_of_dlt645_and_cjt188():
    with PtyLine([dlt645_meter("201000000012", 9600), cjt188_meter("42590008210438", HEAT, baud=9600)]) as line:
        code, out, _ = carbonterm("probe", line.path, "--protocol", "dlt645-2007", "--unit", "201000000012",
                                  "--parity", "even", "--expect", "1234.5", "--json")  # fmt: skip
        assert code == 0 and json.loads(out)["views"][0]["unit"] == "kWh"
        code, out, _ = carbonterm("probe", line.path, "--protocol", "cjt188", "--unit", "42590008210438",
                                  "--parity", "even", "--expect", "1833.42", "--json")  # fmt: skip
        assert code == 0 and json.loads(out)["views"][0]["place"] == "volume"


@pytest.mark.slow
@pytest.mark.parametrize(
    "words, code, said",
    [
        (("scan", "/dev/nothing-there"), 3, "no such device"),
        (("scan", "/dev/null"), 3, "no serial device"),
        (("scan", "127.0.0.1:1"), 3, "refused"),
        (("scan", "127.0.0.1:99999"), 2, "no serial device, host or terminal"),
        (("scan", "127.0.0.1:1", "--units", "a-b"), 2, "no units"),
        (("scan", "127.0.0.1:1", "--units", "9-3"), 2, "units from 9"),
        (("scan", "127.0.0.1:1", "--units", "0-300"), 2, "0 to 255"),
        (("scan", "127.0.0.1:1", "--protocol", "cjt188"), 2, "no search"),
        (("scan", "/dev/null", "--baud", "1234"), 2, "settings"),
        (("scan", "/dev/null", "--parity", "sometimes"), 2, "settings"),
        (("scan", "."), 3, "no socket"),
        (("probe", "/dev/null", "--unit", "x"), 2, "unit must be"),
        (("probe", "127.0.0.1:1", "--unit", "1", "--expect", "much"), 2, "decimal"),
        (("probe", "127.0.0.1:1", "--unit", "1", "--protocol", "cjt188"), 2, "no 'cjt188' here"),
        (("probe", "/dev/null", "--unit", "12", "--protocol", "dlt645-2007"), 2, "address"),
        (("probe", "127.0.0.1:1"), 2, "unit"),
    ],
)
def test_what_cannot_be_is_refused(words, code, said):
    done = carbonterm(*words)
    assert done[0] == code and said in done[2], done


def test_refusals_as_json():
    code, out, _ = carbonterm("probe", "/dev/null", "--unit", "x", "--json")
    assert code == 2 and json.loads(out)["error"] and json.loads(out)["hint"] is not None


def test_silence_is_a_finding():
    with PtyLine([]) as line:
        done = carbonterm("probe", line.path, "--unit", "1", "--timeout", "30")
    assert done[0] == 1 and "does not answer" in done[2]


def test_a_desk_that_dies_is_told():
    with desk.Desk.at("127.0.0.1:1") as asked:
        asked._end()
        with pytest.raises(Failure, match="gone"):
            list(asked.ask({"do": "probe"}))


def test_defaults_are_told_to_try_every_usual_rate():
    assert set(scan_command.BAUDS) >= {2400, 9600} and Number(len(scan_command.PARITIES)) == 2
