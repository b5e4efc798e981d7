"""ISO 14064-1, ISO 16745-1 and GB/T 32150: activity data, factors and gases of one's own choice, worked by hand."""

import pytest

import shipped
import worked
from carbonterm.accounting import library
from carbonterm.accounting.load import date

METHODS = shipped.methods("iso14064-1-2018", "iso16745-1-2017", "gbt32150-2015")
FACTORS = shipped.factors("iso", "gwp-ar5", "gwp-ar6")
AT = date("2020-06-01")
BOOK = worked.Book(METHODS, FACTORS, AT)

# (source, what is given, exact tCO2e, working)
ISO14064_1_2018 = (
    ("stationary_combustion", "AD=100 EF=2.5", "250/1", "100*2.5"),
    ("stationary_combustion", "gas=CH4 AD=10000GJ EF=0.001kgCH4/MJ", "279/1", "10000*0.001*27.9"),
    ("mobile_combustion", "AD=5000km EF=0.25kgCO2e/km", "5/4", "5000*0.25/1000"),
    ("process", "gas=N2O AD=300t EF=0.007tN2O/t gwp_set=AR5", "1113/2", "300*0.007*265"),
    ("fugitive_refrigerant", "gas=HFC-134a charge=120 leak_rate=0.1", "459/25", "120*0.1/1000*1530"),
    ("fugitive_refrigerant", "gas=R-410A GWP=2088 charge=10 leak_rate=5%", "261/250", "10*0.05/1000*2088"),
    ("fugitive_balance", "gas=SF6 B=50 E_inv=40 P=20 Sales=5 dC=10", "378/1", "(50-40+20-5-10)/1000*25200"),
    ("septic_ch4", "persons=200 days=250", "837/50", "200*250*40/1000000*0.3*27.9"),
    ("lulucf", "AD=10000m2 EF=0.02tCO2e/m2", "200/1", "10000*0.02"),
    ("removals", "gas=CO2 AD=5000m2 EF=0.001tCO2/m2", "-5/1", "-5000*0.001"),
    ("imported_electricity", "gas=CO2 AD=1000 EF=0.5306", "2653/5", "1000*0.5306"),
    ("imported_energy", "AD=2000GJ EF=0.11tCO2e/GJ", "220/1", "2000*0.11"),
    ("transport", "AD=50000t.km EF=0.1kgCO2e/(t.km)", "5/1", "50000*0.1/1000"),
    ("purchased_goods", "AD=300t EF=2.1tCO2e/t", "630/1", "300*2.1"),
    ("product_use", "AD=1000pcs EF=0.05tCO2e/pcs", "50/1", "1000*0.05"),
    ("other_indirect", "AD=10 EF=1.5", "15/1", "10*1.5"),
)  # fmt: skip
ISO16745_1_2017 = (
    ("building_energy", "E_del=100000kWh K=0.2kgCO2e/kWh", "20/1", "100000*0.2/1000"),
    ("building_energy", "E_del=1000kWh K=56kgCO2e/GJ", "126/625", "3.6*56/1000"),
    ("building_energy_imported", "E_del=200000 K=0.5306", "2653/25", "200000*0.5306/1000"),
    ("user_energy", "E_user=50000 K=0.5306", "2653/100", "50000*0.5306/1000"),
    ("user_energy_on_site", "E_user=10GJ K=56kgCO2e/GJ", "14/25", "10*56/1000"),
    ("other_building", "gas=HFC-32 m=3", "2313/1000", "3*771/1000"),
    ("other_building", "GWP=2088 m=3", "783/125", "3*2088/1000"),
    ("removals", "m=500", "-1/2", "-500/1000"),
)  # fmt: skip
GBT32150_2015 = (
    ("combustion", "AD=100t EF=2.6tCO2/t", "260/1", "100*2.6"),
    ("process", "AD=50 EF=0.4", "20/1", "50*0.4"),
    ("process_balance", "IN=100 C_IN=0.9 OUT=30 C_OUT=0.5", "275/1", "(100*0.9-30*0.5)*44/12"),
    ("purchased", "AD=1000MWh EF=0.5306tCO2/MWh", "2653/5", "1000*0.5306"),
    ("exported", "AD=200GJ EF=0.11tCO2/GJ", "-22/1", "-200*0.11"),
    ("recovered", "R=40", "-40/1", "-40/1"),
)  # fmt: skip


@pytest.mark.requirement("T-A-1")
def test_iso14064_1_2018():
    BOOK.prove("iso14064-1-2018", ISO14064_1_2018)


@pytest.mark.requirement("T-A-2")
def test_iso16745_1_2017():
    BOOK.prove("iso16745-1-2017", ISO16745_1_2017)


def test_gbt32150_2015():
    BOOK.prove("gbt32150-2015", GBT32150_2015)


@pytest.mark.requirement("T-9.1-1", part="what a user of ISO methods and GB/T 32150 is likely to get wrong")
@pytest.mark.parametrize(
    "method, source, text, why",
    (
        ("iso14064-1-2018", "stationary_combustion", "AD=100t EF=2.5tCO2/t", "same thing"),
        ("iso14064-1-2018", "stationary_combustion", "gas=CO2 AD=100t EF=2.5tCO2/GJ", "same thing"),
        ("iso14064-1-2018", "stationary_combustion", "gwp_set=AR7 AD=1 EF=1", "no GWP set 'AR7'"),
        ("iso14064-1-2018", "fugitive_refrigerant", "charge=1 leak_rate=0.1", "lacks its gas"),
        ("iso14064-1-2018", "fugitive_refrigerant", "gas=HFC-32 charge=1 leak_rate=10", "fraction from 0 to 1, not 10"),
        ("iso14064-1-2018", "fugitive_refrigerant", "gas=R-410A charge=1 leak_rate=0.1", "no gas 'R-410A'"),
        ("iso14064-1-2018", "process", "gas=SF7 AD=1 EF=1", "no gas 'SF7'"),
        ("iso14064-1-2018", "transport", "AD=100t.km EF=0.1kgCO2e/km", "same thing"),
        ("iso16745-1-2017", "other_building", "m=3", "lacks its gas"),
        ("gbt32150-2015", "process_balance", "IN=100 C_IN=0.9 OUT=5", "C_OUT"),
        ("gbt32150-2015", "recovered", "R=40t", "same thing"),
    ),
)  # fmt: skip
def test_what_is_likely_to_be_wrong(method, source, text, why):
    BOOK.refuse(method, source, text, why)


def test_categories_cover_the_six_of_iso_14064():
    sources = METHODS["iso14064-1-2018"].sources
    assert sorted(set([source.category for source in sources])) == [1, 2, 3, 4, 5, 6]
    assert [source.id for source in sources if source.sign < 0] == ["removals"]


def test_the_edition_of_2025_is_named():
    (warning,) = library.warnings(METHODS["gbt32150-2015"], date("2026-07-01"))
    assert "GB/T 32150—2025" in warning
    assert library.warnings(METHODS["gbt32150-2015"], date("2026-06-30")) == []
