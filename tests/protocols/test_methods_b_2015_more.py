"""The guides of 2015, second half: food, buildings, land transport, fluorochemicals, other industry. All by hand."""

import pytest

import shipped
import worked
from carbonterm.accounting import library
from carbonterm.accounting.load import date

METHODS = shipped.methods(
    "cn-2015-food", "cn-2015-building", "cn-2015-land-transport", "cn-2015-fluorochem", "cn-2015-other-industry")
FACTORS = shipped.factors(
    "ndrc-2015", "ndrc-2015-land", "ndrc-2015-vehicles", "ndrc-2013-chem", "carbonates", "heat", "gwp-sar"
)
AT = date("2020-06-01")
BOOK = worked.Book(METHODS, FACTORS, AT)

# (source, what is given, exact tCO2e, working)
FOOD = (
    ("fuel_combustion", "FC=30 fuel=natural_gas", "6486566427/10000000", "30*389.31*0.0153*0.99*44/12"),
    ("carbonate_use", "AD=10 PUR=0.99 EF=chem/nahco3", "518463/100000", "10*0.99*0.5237"),
    ("purchased_co2_loss", "AD=500", "250/1", "500*0.5"),
    ("wastewater_ch4", "W=200000 COD_in=5 COD_out=0.5 R=50000 MCF=ndrc-2015/MCF_food/beverages",
     "2625/2", "(200000*(5-0.5)*0.25*0.5-50000)/1000*21"),
    ("purchased_electricity", "AD=3000 EF=0.7035", "4221/2", "3000*0.7035"),
    ("purchased_heat", "AD=2000", "220/1", "2000*0.11"),
)  # fmt: skip
BUILDING = (
    ("fuel_combustion", "FC=50 fuel=natural_gas", "2162188809/2000000", "50*389.31*0.0153*0.99*44/12"),
    ("purchased_electricity", "AD=12000 EF=0.8843", "53058/5", "12000*0.8843"),
    ("purchased_heat", "AD=30000", "3300/1", "30000*0.11"),
)  # fmt: skip
LAND_TRANSPORT = (
    ("fuel_combustion", "FC=100 fuel=diesel", "235884187/750000", "100*43.330*0.0202*0.98*44/12"),
    ("fuel_combustion", "V=1000 rho=ndrc-2015/density/diesel fuel=diesel",
     "1651189309/625000", "1000*0.84*43.330*0.0202*0.98*44/12"),
    ("fuel_combustion", "FC=10 fuel=ndrc-2013-chem/natural_gas",
     "2162188809/10000000", "10*389.31*0.0153*0.99*44/12"),
    ("mobile_ch4",
     "k=1000000 EF=ndrc-2015/vehicle_CH4/heavy_diesel_all k=500000 EF=ndrc-2015/vehicle_CH4/car_gasoline_III",
     "9093/2000", "(1000000*175+500000*83)/10^9*21"),
    ("mobile_n2o", "k=1000000 EF=ndrc-2015/vehicle_N2O/heavy_diesel_all", "93/10", "1000000*30/10^9*310"),
    ("scr_urea", "M=20000", "143/30", "20000*12/60*0.325*44/12/1000"),
    ("purchased_electricity", "AD=800 EF=0.5257", "10514/25", "800*0.5257"),
    ("purchased_heat", "AD=40", "22/5", "40*0.11"),
)  # fmt: skip
FLUOROCHEM = (
    ("fuel_combustion", "FC=60 fuel=natural_gas", "6486566427/5000000", "60*389.31*0.0153*0.99*44/12"),
    ("hcfc22_hfc23", "P=10000 EF=0.03 P=5000 EF=0.02 R=50 D=320", "351000/1", "(10000*0.03+5000*0.02-50-320)*11700"),
    ("hcfc22_hfc23", "P=10000 EF=0.02 R=10 Q_in=180 Q_out=0.5", "122850/1", "(10000*0.02-10-(180-0.5))*11700"),
    ("hfc23_destruction_co2", "D=320", "1408/7", "320*44/70"),
    ("fc_production", "gas=SF6 P=100 EF=ndrc-2015/fc_production/sf6_high_purity", "191200/1", "100*0.08*23900"),
    ("fc_production", "gas=HFC-134a P=2000 EF=ndrc-2015/fc_production/hfc_pfc", "13000/1", "2000*0.005*1300"),
    ("purchased_electricity", "AD=6000 EF=0.7035", "4221/1", "6000*0.7035"),
    ("purchased_heat", "AD=7000", "770/1", "7000*0.11"),
)  # fmt: skip
OTHER_INDUSTRY = (
    ("fuel_combustion", "FC=100 fuel=anthracite", "6968305399/30000000", "100*24.515*0.02749*0.94*44/12"),
    ("carbonate_use", "AD=200 PUR=0.9 EF=chem/caco3", "39573/500", "200*0.9*0.4397"),
    ("wastewater_ch4", "W=50000 COD_in=4 COD_out=1 S=1000 R=2000 MCF=ndrc-2015/MCF/anaerobic_reactor",
     "2919/5", "((50000*(4-1)-1000)*0.25*0.8-2000)/1000*21"),
    ("ch4_recovery", "Q_ext=1 PUR_ext=0.6 Q_self=2 PUR_self=0.5", "-2394063/10000", "-(1*0.6+2*0.5*0.99)*7.17*21"),
    ("ch4_destroy", "FR=100 H=8000 V=0.6 eta=0.98", "-7056/1", "-0.98*100*8000*0.6*16/22.4/1000*21"),
    ("ch4_destroy", "FR=100 H=1 V=0.6 FR=120 H=1 V=0.55 eta=0.98",
     "-9261/5000", "-0.98*(100*0.6+120*0.55)*16/22.4/1000*21"),
    ("co2_recovery", "Q_ext=3 PUR_ext=0.9 Q_raw=1 PUR_raw=0.8", "-1379/20", "-(3*0.9+1*0.8)*19.7"),
    ("purchased_electricity", "AD=4000 EF=0.5257", "10514/5", "4000*0.5257"),
    ("purchased_heat", "AD=900", "99/1", "900*0.11"),
)  # fmt: skip


@pytest.mark.requirement("T-A-25")
def test_food():
    BOOK.prove("cn-2015-food", FOOD)


@pytest.mark.requirement("T-A-26")
def test_building():
    BOOK.prove("cn-2015-building", BUILDING)


@pytest.mark.requirement("T-A-27")
def test_land_transport():
    BOOK.prove("cn-2015-land-transport", LAND_TRANSPORT)


@pytest.mark.requirement("T-A-28")
def test_fluorochem():
    BOOK.prove("cn-2015-fluorochem", FLUOROCHEM)


@pytest.mark.requirement("T-A-29")
def test_other_industry():
    BOOK.prove("cn-2015-other-industry", OTHER_INDUSTRY)


@pytest.mark.slow
@pytest.mark.requirement("T-9.1-1", part="what a user of the guides of 2015 is likely to get wrong")
@pytest.mark.parametrize(
    "method, source, text, why",
    (
        ("food", "wastewater_ch4", "TOW=100 R=0", "MCF"),
        ("food", "carbonate_use", "AD=10 PUR=99 EF=chem/nahco3", "fraction from 0 to 1, not 99"),
        ("food", "purchased_co2_loss", "AD=500m3", "same thing"),
        ("building", "fuel_combustion", "FC=50", "NCV"),
        ("building", "purchased_electricity", "AD=12000kW EF=0.5", "power|same thing"),
        ("land-transport", "fuel_combustion", "V=1000 fuel=gasoline", "lacks FC .* or V and rho"),
        ("land-transport", "fuel_combustion", "FC=10 fuel=gasoline", "lacks .*CC"),
        ("land-transport", "mobile_ch4", "k=1000 EF=ndrc-2015/vehicle_N2O/heavy_diesel_all", "same thing"),
        ("land-transport", "mobile_n2o", "k=1000 EF=ndrc-2015/vehicle_N2O/heavy_gas_IV", "unknown factor"),
        ("fluorochem", "hcfc22_hfc23", "P=1000 R=0 D=0", "EF"),
        ("fluorochem", "fc_production", "gas=HFC-134 EF=0.5% P=1 x=2", "no parameter 'x'"),
        ("fluorochem", "fc_production", "P=1 EF=0.005", "lacks its gas"),
        ("other-industry", "ch4_destroy", "FR=100 H=1 V=60 eta=0.98", "fraction from 0 to 1, not 60"),
        ("other-industry", "ch4_destroy", "FR=100 H=1 V=0.6", "eta"),
    ),
)  # fmt: skip
def test_what_is_likely_to_be_wrong(method, source, text, why):
    BOOK.refuse("cn-2015-" + method, source, text, why)


def test_what_is_not_sure_is_marked():
    for method, source, text, marked in (
        ("food", "purchased_co2_loss", "AD=1", ["ndrc-2015/co2_loss"]),
        ("land-transport", "scr_urea", "M=1", ["ndrc-2015/urea_P"]),
        ("land-transport", "fuel_combustion", "FC=1 fuel=diesel", []),
        ("land-transport", "fuel_combustion", "FC=1 fuel=gasoline CC=0.0189 OF=0.98", ["ndrc-2015-land/gasoline/NCV"]),
        ("fluorochem", "hcfc22_hfc23", "P=1 EF=ndrc-2015/hfc23/ipcc_old R=0 D=0", ["ndrc-2015/hfc23/ipcc_old"]),
        ("fluorochem", "hcfc22_hfc23", "P=1 EF=0.02 R=0 D=0", []),
    ):
        result = library.account(METHODS["cn-2015-" + method], source, worked.given(text), FACTORS, AT)
        assert [factor.id for factor in result.factors if factor.unconfirmed] == marked, (method, source)
