"""The guides of 2015, first half: paper, non-ferrous, electronics, machinery, mining. Every source worked by hand."""

import pytest

import shipped
import worked
from carbonterm.accounting import library
from carbonterm.accounting.load import date
from carbonterm.number import Number, Ratio

METHODS = shipped.methods(
    "cn-2015-paper", "cn-2015-nonferrous", "cn-2015-electronics", "cn-2015-machinery", "cn-2015-mining")
FACTORS = shipped.factors("ndrc-2015", "ndrc-2015-electronics", "ndrc-2013-chem", "carbonates", "heat", "gwp-sar")
AT = date("2020-06-01")
BOOK = worked.Book(METHODS, FACTORS, AT)

# (source, what is given, exact tCO2e, working)
PAPER = (
    ("fuel_combustion", "FC=40000 fuel=bituminous", "2589386569/31250", "40000*23.204*0.02618*0.93*44/12"),
    ("limestone", "L=1000", "405/1", "1000*0.405"),
    ("wastewater_ch4", "W=1000000 COD_in=3 COD_out=0.5 S=20000 R=100000",
     "4410/1", "((1000000*(3-0.5)-20000)*0.25*0.5-100000)/1000*21"),
    ("wastewater_ch4", "TOW=2500000 R=0", "13125/2", "2500000*0.25*0.5/1000*21"),
    ("purchased_electricity", "AD=20000 EF=0.7035", "14070/1", "20000*0.7035"),
    ("purchased_heat", "AD=100000", "11000/1", "100000*0.11"),
)  # fmt: skip
NONFERROUS = (
    ("fuel_combustion", "FC=25 fuel=natural_gas", "2162188809/4000000", "25*389.31*0.0153*0.99*44/12"),
    ("reductant", "AD=500 EF=ndrc-2015/reductant/coke AD=20万Nm3 EF=ndrc-2015/reductant/natural_gas",
     "46586/25", "500*2.862+20*21.622"),
    ("carbonate",
     "AD=300 PUR=1 EF=ndrc-2015/carbonate_goods/limestone AD=100 PUR=1 EF=ndrc-2015/carbonate_goods/soda_ash",
     "813/5", "300*0.405+100*0.411"),
    ("oxalic", "AD=10", "86901/25000", "10*0.349*0.996"),
    ("purchased_electricity", "AD=9000 EF=0.5257", "47313/10", "9000*0.5257"),
    ("purchased_heat", "AD=300", "33/1", "300*0.11"),
)  # fmt: skip
ELECTRONICS = (
    ("fuel_combustion", "FC=12 fuel=natural_gas", "6486566427/25000000", "12*389.31*0.0153*0.99*44/12"),
    ("fc_feed", "gas=SF6 FC=1000kg", "40869/50", "(1-0.1)*1*(1-0.8)*(1-0.9*0.9)*23900"),
    ("fc_feed", "gas=CHF3 FC=2 a=0", "8424/1", "(1-0.1)*2*(1-0.6)*11700"),
    ("fc_feed", "gas=NF3 GWP=17200 FC=0.001", "11223/25000", "(1-0.1)*0.001*(1-0.8)*(1-0.9*0.95)*17200"),
    ("fc_byproduct", "gas=CF4 FC=3 B=ndrc-2015/fc_B/C2F6-CF4", "6669/10", "(1-0.1)*0.2*3*(1-0.9*0.9)*6500"),
    ("purchased_electricity", "AD=1200 EF=0.7035", "4221/5", "1200*0.7035"),
    ("purchased_heat", "AD=10", "11/10", "10*0.11"),
)  # fmt: skip
MACHINERY = (
    ("fuel_combustion", "FC=8.4082 fuel=natural_gas",
     "90900579719169/500000000000", "8.4082*389.31*0.0153*0.99*44/12"),
    ("gas_equipment", "gas=SF6 IB=5 AC=20 IE=4 DI=20.7", "7170/1", "(5+20-4-20.7)*23900"),
    ("gas_equipment", "gas=HFC-134a IB=1 AC=9 IE=2 MB=7 ME=3 CN=1000 M=102 MB=5 ME=2 CN=500",
     "6840119/5000", "(1+9-2-(7-3-1000*0.342*102/1000000)-(5-2-500*0.342*102/1000000))*1300"),
    ("co2_welding", "W=100 P_CO2=0.2 SUM_PM=40.8", "1100/51", "100*0.2*44/40.8"),
    ("co2_welding", "IB=10 AC=100 IE=15 DI=0 P_CO2=0.2 P=0.2 M=44 P=0.8 M=40",
     "1045/51", "(10+100-15-0)*0.2*44/(0.2*44+0.8*40)"),
    ("purchased_electricity", "AD=1619.725 EF=0.5257", "340595773/400000", "1619.725*0.5257"),
    ("purchased_heat", "AD=10", "11/10", "10*0.11"),
)  # fmt: skip
MINING = (
    ("fuel_combustion", "FC=200 fuel=diesel", "235884187/375000", "200*43.330*0.0202*0.98*44/12"),
    ("ore_carbonate", "AD=1000 eta=0.98 SUM_PUR_EF=0.42", "2058/5", "1000*0.98*0.42"),
    ("ore_carbonate", "AD=1000 eta=0.98 PUR=0.9 EF=chem/caco3 PUR=0.05 EF=chem/mgco3",
     "2066967/5000", "1000*0.98*(0.9*0.4397+0.05*0.5220)"),
    ("carbonation", "AD=200 PUR=0.97 EF=chem/caco3", "-426509/5000", "-200*0.97*0.4397"),
    ("purchased_electricity", "AD=7000 EF=0.6671", "46697/10", "7000*0.6671"),
    ("purchased_heat", "AD=50", "11/2", "50*0.11"),
)  # fmt: skip


@pytest.mark.requirement("T-A-20")
def test_paper():
    BOOK.prove("cn-2015-paper", PAPER)


@pytest.mark.requirement("T-A-21")
def test_nonferrous():
    BOOK.prove("cn-2015-nonferrous", NONFERROUS)


@pytest.mark.requirement("T-A-22")
def test_electronics():
    BOOK.prove("cn-2015-electronics", ELECTRONICS)


@pytest.mark.requirement("T-A-23")
def test_machinery():
    BOOK.prove("cn-2015-machinery", MACHINERY)


@pytest.mark.requirement("T-A-24")
def test_mining():
    BOOK.prove("cn-2015-mining", MINING)


@pytest.mark.requirement("T-9.1-1", part="what a user of the guides of 2015 is likely to get wrong")
@pytest.mark.parametrize(
    "method, source, text, why",
    (
        ("paper", "wastewater_ch4", "W=100 COD_in=3 R=0", "lacks TOW .* or W and COD_in and COD_out"),
        ("paper", "wastewater_ch4", "TOW=100 W=5 R=0", "W of wastewater_ch4 is not needed"),
        ("machinery", "gas_equipment", "gas=SF6 IB=1 AC=2 IE=1 MB=5 EL=0", "lacks DI"),
        ("paper", "wastewater_ch4", "TOW=100 R=0 MCF=50", "fraction from 0 to 1, not 50"),
        ("nonferrous", "reductant", "AD=20t EF=ndrc-2015/reductant/natural_gas", "same thing"),
        ("nonferrous", "carbonate", "AD=300 EF=ndrc-2015/carbonate_goods/limestone", "PUR"),
        ("nonferrous", "oxalic", "AD=10 PUR=99.6", "fraction from 0 to 1, not 99.6"),
        ("electronics", "fc_feed", "FC=1", "lacks its gas"),
        ("electronics", "fc_feed", "gas=CF5 FC=1", "no gas 'CF5'"),
        ("electronics", "fc_feed", "gas=NF3 FC=1", "SAR has no GWP of NF3"),
        ("electronics", "fc_feed", "gas=C4F6 FC=1 GWP=1", "lacks .*U"),
        ("electronics", "fc_byproduct", "gas=SF6 FC=1", "no gas 'SF6'"),
        ("electronics", "fc_byproduct", "gas=CF4 FC=1", "lacks .*B "),
        ("machinery", "gas_equipment", "IB=1 AC=2 IE=1 DI=1", "lacks its gas"),
        ("machinery", "gas_equipment", "gas=SF6 IB=1 AC=2 IE=1", "DI"),
        ("machinery", "co2_welding", "W=100 P_CO2=20 SUM_PM=40", "fraction from 0 to 1, not 20"),
        ("machinery", "co2_welding", "W=100 P_CO2=0.2 SUM_PM=0", "division by zero"),
        ("mining", "ore_carbonate", "AD=1000 SUM_PUR_EF=0.4", "eta"),
        ("mining", "ore_carbonate", "AD=1000 eta=98 SUM_PUR_EF=0.4", "fraction from 0 to 1, not 98"),
    ),
)  # fmt: skip
def test_what_is_likely_to_be_wrong(method, source, text, why):
    BOOK.refuse("cn-2015-" + method, source, text, why)


@pytest.mark.requirement("T-A-23", part="a published report: 181, 851 and 232 t, of which 232 is given")
def test_a_published_report_of_a_machinery_maker():
    # a report of 2022 that cuts decimals off: natural gas 181 t, electricity 851 t
    for source, text, printed in (
        ("fuel_combustion", "FC=8.4082 NCV=389.31 CC=0.0153 OF=0.99", 181),
        ("purchased_electricity", "AD=1619.725 EF=0.5257", 851),
    ):
        result = library.account(METHODS["cn-2015-machinery"], source, worked.given(text), FACTORS, AT)
        assert result.ratio.numerator // result.ratio.denominator == printed
        print(source, result.tco2e)


@pytest.mark.requirement("T-A-22", part="a panel maker's published coefficients, with the maker's own GWPs")
def test_a_panel_makers_published_coefficients():
    total = Ratio(0)
    for source, text, printed in (
        ("fc_feed", "gas=SF6 GWP=22800 FC=1kg", "0.77976"),
        ("fc_feed", "gas=NF3 GWP=17200 FC=1kg", "0.448920"),
        ("fc_feed", "gas=CF4 GWP=7390 FC=1kg", "1.137321"),
        ("fc_feed", "gas=CHF3 GWP=12400 FC=1kg", "0.84816"),
        ("fc_byproduct", "gas=CF4 GWP=7390 FC=1kg B=ndrc-2015/fc_B/NF3-CF4", "0.1137321"),
        ("fc_byproduct", "gas=CF4 GWP=7390 FC=1kg B=ndrc-2015/fc_B/HFC-23-CF4", "0.0884583"),
    ):
        result = library.account(METHODS["cn-2015-electronics"], source, worked.given(text), FACTORS, AT)
        assert result.ratio == Number(printed).ratio(), text
        total = total + result.ratio
        print(source, text, result.tco2e)
    assert total == Number("3.4163514").ratio()
