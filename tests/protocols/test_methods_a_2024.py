"""Annex A items 3 to 5 (guides of 2022 and 2024) and the shared formulas: a hand-worked case of every source."""

import pytest

import shipped
import worked
from carbonterm import clock
from carbonterm.accounting import library
from carbonterm.errors import AccountingError
from carbonterm.number import Number
from vectors import load

METHODS = shipped.methods()
FACTORS = shipped.factors()

# method, source, what is given, the exact tCO2e, its working
POWER = (
    ("cn-2022-power-facility", "coal_combustion", "FC=100000 Car=0.5812", "1054878/5", "100000*0.5812*0.99*44/12"),
    ("cn-2022-power-facility", "coal_combustion", "FC=10000 Car=0.55 FC=12000 Car=0.57",
     "223971/5", "(10000*0.55+12000*0.57)*0.99*44/12"),
    ("cn-2022-power-facility", "coal_combustion", "FC=1000 Cad=0.6 Mar=8% Mad=2%",
     "100188/49", "1000*0.6*(1-0.08)/(1-0.02)*0.99*44/12"),
    ("cn-2022-power-facility", "coal_combustion_ncv", "FC=1000", "59800257/20000", "1000*26.7*0.03085*0.99*44/12"),
    ("cn-2022-power-facility", "coal_combustion_ncv", "FC=1000 NCV=21.5 CC=power-2022/coal_cc_default_nc",
     "22305261/10000", "1000*21.5*0.02858*0.99*44/12"),
    ("cn-2022-power-facility", "oil_gas_combustion", "FC=10 fuel=diesel",
     "580483057/18750000", "10*42.652*0.0202*0.98*44/12"),
    ("cn-2022-power-facility", "oil_gas_combustion", "FC=1000000Nm3 fuel=天然气",
     "5412537999/2500000", "100*389.31*0.01532*0.99*44/12"),
    ("cn-2022-power-facility", "purchased_electricity", "AD_e=1000", "5703/10", "1000*0.5703"),
)  # fmt: skip
ROWS = (
    ("cn-2024-aluminium", "fossil_combustion", "FC=100 fuel=diesel",
     "580483057/1875000", "100*42.652*0.0202*0.98*44/12"),
    ("cn-2024-aluminium", "anode", "M=1000", "5691422/1875", "1000*(1-0.1518)*(1-0.02-0.004)*44/12"),
    ("cn-2024-aluminium", "anode", "P=1000", "183854/125", "1000*0.411*(1-0.02-0.004)*44/12"),
    ("cn-2024-aluminium", "anode_effect", "P=100000", "26316/1", "100000*(0.034*6630+0.0034*11100)/1000"),
    ("cn-2024-aluminium", "anode_effect", "P=100000 AEM=0.2",
     "110682/5", "100000*(0.143*0.2*6630+0.1*0.143*0.2*11100)/1000"),
    ("cn-2024-aluminium", "carbonate", "M=100 EF=chem/na2co3 PUR=98%", "203301/5000", "100*0.4149*0.98"),
    ("cn-2024-aluminium", "other_facilities", "E_k=1234.5 E_k=65.5", "1300/1", "1234.5+65.5"),
    ("cn-2024-cement-clinker", "fossil_combustion", "FC=5000 fuel=bituminous OF=clinker-2024-of/kiln",
     "2741238423/250000", "5000*23.076*0.02618*0.99*44/12"),
    ("cn-2024-cement-clinker", "clinker_process",
     "Q=1000000 EF=clinker-2024/portland M=20000 "
     "d=clinker-2024-deduction/ded_电石渣 M=30000 d=clinker-2024-deduction/ded_粉煤灰",
     "523750/1", "1000000*0.535-20000*0.48-30000*0.055"),
    ("cn-2024-cement-clinker", "clinker_process", "Q=1000 EF=clinker-2024/white", "550/1", "1000*0.55"),
    ("cn-2024-cement-clinker", "clinker_process", "Q=1 EF=clinker-2024/csa M=10 d=0.48",
     "0/1", "max(1*0.413-10*0.48,0)"),
    ("cn-2024-cement-clinker", "other_facilities", "E_k=12.5", "25/2", "12.5"),
    ("common", "fossil_combustion", "FC=1000 NCV=20 CC=0.02749 OF=0.94", "1421233/750", "1000*20*0.02749*0.94*44/12"),
    ("common", "fossil_combustion", "FC=2 fuel=ndrc-2013-metals/coke",
     "572325193/100000000", "2*28.447*0.0295*0.93*44/12"),
    ("common", "purchased_electricity", "AD_e=5000 EF_e=cn-nat-2021", "2784/1", "5000*0.5568"),
    ("common", "purchased_heat", "AD_h=1000", "110/1", "1000*0.11"),
    ("common", "hot_water_gj", "Ma_w=100 T_w=75", "115137/5000", "100*(75-20)*4.1868/1000"),
    ("common", "steam_gj", "Ma_st=100 En_st=2777", "134663/500", "100*(2777-83.74)/1000"),
    ("common", "steam_gj", "Ma_st=100 En_st=steam-saturated/1.0MPa", "67329/250", "100*(2776.9-83.74)/1000"),
)  # fmt: skip


@pytest.mark.requirement("T-A-3")
def test_hand_worked_cases_of_power():
    worked.prove(METHODS, FACTORS, clock.stamp(2023, 7, 1), POWER)


@pytest.mark.requirement("T-A-4", "T-A-5")
def test_hand_worked_cases():
    worked.prove(METHODS, FACTORS, clock.stamp(2024, 7, 1), ROWS)


def test_every_source_has_a_case():
    for name in ("common", "cn-2022-power-facility", "cn-2024-aluminium", "cn-2024-cement-clinker"):
        for source in METHODS[name].sources:
            assert [row for row in POWER + ROWS if row[:2] == (name, source.id)], (name, source.id)


@pytest.mark.requirement("T-A-3", "T-A-5")
def test_worked_examples_with_lists():
    for case in load("worked_examples")["examples"]:
        if case["method"] not in ("cn-2022-power-facility", "cn-2024-cement-clinker"):
            continue
        text = ""
        for name in ("Q", "EF", "FC", "NCV", "CC", "OF"):
            if name in case["inputs"]:
                text += "%s=%s " % (name, case["inputs"][name])
        text += " ".join(["M=%(M)s d=%(d)s" % line for line in case["inputs"].get("alt", [])])
        found = account(case["method"], case["source_id"], text)
        assert str(found) == case["expected_fraction"] and str(found.round(6)) == case["expected_exact"]
        print(case["id"], found)


def account(method, source, text, day=(2023, 7, 1)):
    day = (2024, 7, 1) if method.startswith("cn-2024") else day
    return library.account(METHODS[method], source, worked.given(text), FACTORS, clock.stamp(*day)).ratio


def test_months_are_added_not_averaged():
    """Two months of different coal: the sum of the months is not the product of the annual means."""
    months = account("cn-2022-power-facility", "coal_combustion", "FC=100 Car=0.5 FC=300 Car=0.6")
    weighted = account("cn-2022-power-facility", "coal_combustion", "FC=400 Car=0.575")
    plain = account("cn-2022-power-facility", "coal_combustion", "FC=400 Car=0.55")
    assert months == weighted and months != plain
    print(months, plain)


def test_two_gases_of_one_source():
    method = METHODS["cn-2024-aluminium"]
    found = library.account(method, "anode_effect", {"P": Number("1000")}, FACTORS, clock.stamp(2024, 7, 1))
    assert [(gas, str(mass)) for gas, mass in found.gases] == [("CF4", "17/500"), ("C2F6", "17/5000")]


@pytest.mark.parametrize(
    "method, source, text, why",
    (
        ("cn-2022-power-facility", "coal_combustion", "FC=1000", "lacks Car"),
        ("cn-2022-power-facility", "coal_combustion", "FC=1000 Car=0.5 OF=99", "fraction from 0 to 1"),
        ("cn-2022-power-facility", "coal_combustion", "FC=1000 Cad=0.6 Mar=8 Mad=2", "fraction from 0 to 1"),
        ("cn-2022-power-facility", "oil_gas_combustion", "FC=1000t fuel=natural_gas", "do not measure the same"),
        ("cn-2022-power-facility", "desulphurisation", "B=1", "has no source"),
        ("cn-2024-aluminium", "anode", "L=0.2", "lacks"),
        ("cn-2024-aluminium", "anode", "M=1 P=1", "not needed"),
        ("cn-2024-aluminium", "purchased_electricity", "AD_e=1", "has no source"),
        ("cn-2024-aluminium", "other_facilities", "E_k=5kWh", "do not measure the same"),
        ("cn-2024-cement-clinker", "clinker_process", "Q=1000", "lacks EF"),
        ("cn-2024-cement-clinker", "clinker_process", "Q=10 EF=0.5 M=1", "lacks d"),
        ("cn-2024-cement-clinker", "clinker_process", "Q=10 Q=20 EF=0.5", "lines"),
        ("common", "hot_water_gj", "Ma_w=1 T_w=300K", "do not measure the same"),
        ("common", "steam_gj", "Ma_st=1", "lacks En_st"),
    ),
)  # fmt: skip
def test_what_people_get_wrong(method, source, text, why):
    with pytest.raises(AccountingError, match=why) as caught:
        account(method, source, text)
    assert caught.value.hint
    print(str(caught.value))


def test_a_factor_bound_to_reporting_years_ends_with_them():
    with pytest.raises(AccountingError, match="cn-nat-0"):
        account("cn-2022-power-facility", "purchased_electricity", "AD_e=1000", (2024, 7, 1))
    with pytest.raises(AccountingError, match="cn-2022-power-facility"):
        account("cn-2022-power-facility", "coal_combustion_ncv", "FC=1", (2022, 12, 31))
