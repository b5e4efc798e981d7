"""The guides of 2014: oil and gas, petrochemicals, coking, coal. Every source worked by hand."""

import pytest

import shipped
import worked
from carbonterm.accounting import library
from carbonterm.accounting.load import date
from carbonterm.errors import CarbonError

METHODS = shipped.methods("cn-2014-oilgas", "cn-2014-petrochem", "cn-2014-coking", "cn-2014-coal")
FACTORS = shipped.factors("ndrc-2014", "ndrc-2013-chem", "heat", "gwp-sar")
AT = date("2020-06-01")
BOOK = worked.Book(METHODS, FACTORS, AT)

# (source, what is given, exact tCO2e, working)
OILGAS = (
    ("fuel_combustion", "FC=120.5 fuel=natural_gas", "521087502969/200000000", "120.5*389.31*0.0153*0.99*44/12"),
    ("fuel_combustion", "FC=2000t fuel=crude_oil", "76956803/12500", "2000*42.620*0.0201*0.98*44/12"),
    ("flare_normal_co2", "Q=50 CC=5.2 V_CO2=0.03", "57829/60", "50*5.2*0.98*44/12+50*0.03*19.7"),
    ("flare_normal_co2", "Q=50 V_n=0.8 CN_n=1 V_n=0.1 CN_n=2 V_CO2=0.03",
     "19841/20", "50*(12*0.8*1*10/22.4+12*0.1*2*10/22.4)*0.98*44/12+50*0.03*19.7"),
    ("flare_normal_ch4", "Q=50 V_CH4=0.8", "15057/125", "50*0.8*(1-0.98)*7.17*21"),
    ("flare_accident_co2", "GF=2.5 T=6 CC=5.2 V_CO2=0.03", "57829/200", "2.5*6*5.2*0.98*44/12+2.5*6*0.03*19.7"),
    ("flare_accident_ch4", "GF=2.5 T=6 V_CH4=0.8", "45171/1250", "2.5*6*0.8*(1-0.98)*7.17*21"),
    ("exploration_ch4_vent", "Q=1.2 H=24 V=0.95", "2574747/625", "1.2*24*0.95*7.17*21"),
    ("production_ch4_vent",
     "Num=10 EF=ndrc-2014/production_vent/oil_tank Num=2 EF=ndrc-2014/production_vent/gas_gathering",
     "5187/5", "(10*0.22+2*23.6)*21"),
    ("production_ch4_escape",
     "Num=100 EF=ndrc-2014/production_escape/oil_wellhead Num=3 EF=ndrc-2014/production_escape/gas_storage",
     "416031/100", "(100*0.23+3*58.37)*21"),
    ("processing_ch4_vent", "Q=3.5", "203301/200", "3.5*13.83*21"),
    ("processing_co2_vent", "Qin=1000 Vin=0.05 Qout=950 Vout=0.001", "53955/56", "(1000*0.05-950*0.001)*44/22.4*10"),
    ("processing_ch4_escape", "Q=350000万Nm3", "296499/10", "35*40.34*21"),
    ("transport_ch4_vent", "Num=4 EF=ndrc-2014/transport_vent/compressor Num=9 EF=ndrc-2014/transport_vent/metering",
     "84987/25", "(4*10.05+9*13.52)*21"),
    ("oil_transport_ch4_escape", "Q=0.25", "1581909/400", "0.25*753.29*21"),
    ("gas_transport_ch4_escape",
     "Num=4 EF=ndrc-2014/transmission_escape/compressor Num=9 EF=ndrc-2014/transmission_escape/pigging",
     "35721/5", "(4*85.05+9*0)*21"),
    ("co2_recovery", "Q_ext=10 PUR_ext=0.99 Q_raw=2 PUR_raw=0.95", "-11623/50", "-(10*0.99+2*0.95)*19.7"),
    ("ch4_recovery", "Q_ext=10 PUR_ext=0.9 Q_self=5 PUR_self=0.8", "-1219617/625", "-(10*0.9+5*0.8*0.99)*7.17*21"),
    ("purchased_electricity", "AD=5000 EF=0.5257", "5257/2", "5000*0.5257"),
    ("purchased_heat", "AD=8000", "880/1", "8000*0.11"),
)  # fmt: skip
PETROCHEM = (
    ("fuel_combustion", "FC=300 fuel=fuel_oil", "457076851/500000", "300*40.190*0.0211*0.98*44/12"),
    ("flare_normal_co2", "Q=20 CC=7 V_CO2=0.02", "38321/75", "20*7*0.98*44/12+20*0.02*19.7"),
    ("flare_accident_co2", "GF=3 T=2 CN=ndrc-2014/flare_CN/refining", "1155/2", "3*2*5*0.98*44/22.4*10"),
    ("fcc_coke", "MC=1500", "5390/1", "1500*1*0.98*44/12"),
    ("reforming_continuous", "MC=120 CF=0.95", "10241/25", "120*0.95*0.98*44/12"),
    ("reforming_batch", "MC=80 CFb=0.08 CFa=0.005",
     "4312/199", "80*(1-0.08)*(0.08/(1-0.08)-0.005/(1-0.005))*44/12*0.98"),
    ("other_cat_continuous", "MC=60", "1078/5", "60*0.98*44/12"),
    ("other_cat_batch", "MC=40 CFb=0.1 CFa=0 OF=1", "44/3", "40*0.1*44/12"),
    ("hydrogen", "AD_r=1000 CC_r=0.75 Q_sg=100 CC_sg=1.2 Q_w=5 CC_w=0.9",
     "4587/2", "(1000*0.75-100*1.2-5*0.9)*44/12*1"),
    ("coking_fluid", "MC=700 CF=0.9", "11319/5", "700*0.9*0.98*44/12"),
    ("coke_calcining", "M_RC=1000 CC_RC=0.9 M_PC=750 M_ds=10 CC_PC=0.98",
     "8536/15", "(1000*0.9-(750+10)*0.98)*44/12"),
    ("asphalt_blowing", "M_oa=2000", "60/1", "2000*0.03"),
    ("ethylene_decoke", "Q_wg=5000 T=120 V_CO2=0.05 V_CO=0.01", "1773/25", "5000*120*(0.05+0.01)*19.7/10000"),
    ("eo_eg", "RE=1000 EO=1200", "2222/3", "(1000*0.856-1200*0.545)*44/12"),
    ("other_products",
     "AD_r=1000 CC_r=0.856 AD_r=50 CC_r=5.35 AD_p=900 CC_p=ndrc-2014/carbon/propylene AD_w=20 CC_w=0.5",
     "377113/300", "(1000*0.856+50*5.35-900*0.8563-20*0.5)*44/12"),
    ("other_products", "AD_r=100t CC_r=0.5tC/t AD_r=2万Nm3 CC_r=5tC/10^4Nm3", "220/1", "(100*0.5+2*5)*44/12"),
    ("co2_recovery", "Q_ext=8 PUR_ext=1 Q_raw=0 PUR_raw=0", "-788/5", "-8*19.7"),
    ("purchased_electricity", "AD=1200 EF=0.7035", "4221/5", "1200*0.7035"),
    ("purchased_heat", "AD=10000 EF=0.1", "1000/1", "10000*0.1"),
)  # fmt: skip
COKING = (
    ("fuel_combustion", "FC=500 fuel=coke_oven_gas", "536426517/125000", "500*173.854*0.0136*0.99*44/12"),
    ("coking_process",
     "PM=1000000 CC_PM=0.76 COK=750000 CC_COK=0.86 COG=30000 CC_COG=2.2 BY=35000 CC_BY=0.9 BY=10000 CC_BY=0.92",
     "91300/3", "(1000000*0.76-750000*0.86-30000*2.2-35000*0.9-10000*0.92)*44/12"),
    ("coking_downstream", "IN=100 CC_IN=2.2 OUT=300 CC_OUT=ndrc-2014/carbon/methanol",
     "2365/6", "(100*2.2-300*0.375)*44/12"),
    ("co2_recovery", "Q_ext=1.5 PUR_ext=0.98 Q_raw=0.5 PUR_raw=0.9", "-4728/125", "-(1.5*0.98+0.5*0.9)*19.7"),
    ("purchased_electricity", "AD=40000 EF=0.8843", "35372/1", "40000*0.8843"),
    ("purchased_heat", "AD=500", "55/1", "500*0.11"),
)  # fmt: skip
COAL = (
    ("fuel_combustion", "FC=3000 fuel=bituminous", "7768159707/1250000", "3000*23.204*0.02618*0.93*44/12"),
    ("gas_flare_co2", "Q=30 CC=1.6", "4312/25", "30*1.6*0.98*44/12"),
    ("gas_flare_co2", "Q=30 V_n=0.3 CN_n=1", "693/4", "30*(12*0.3*1*10/22.4)*0.98*44/12"),
    ("underground_ch4", "Q_vent=500 Q_drain=300 Q_flare=50 Q_use=200", "165627/2", "(500+300-50-200)*7.17*21"),
    ("underground_ch4", "q_avg=12 days=31 q_avg=10 days=28 Q_drain=30 Q_flare=5 Q_use=20",
     "186119577/12500", "((12*31+10*28)*60*24/10000+30-5-20)*7.17*21"),
    ("underground_co2", "Q_vent=400 Q_drain=20 Q_use=10", "8077/1", "(400+20-10)*19.7"),
    ("surface_ch4", "AD=1000000", "28140/1", "1000000*1.34/1000*21"),
    ("postmining_ch4", "AD=800000 EF=ndrc-2014/postmining/high_gas AD=500000 EF=ndrc-2014/postmining/surface",
     "37338/1", "(800000*2.01+500000*0.34)/1000*21"),
    ("purchased_electricity", "AD=60000 EF=0.8843", "53058/1", "60000*0.8843"),
    ("purchased_heat", "AD=100", "11/1", "100*0.11"),
)  # fmt: skip


@pytest.mark.requirement("T-A-16")
def test_oilgas():
    BOOK.prove("cn-2014-oilgas", OILGAS)


@pytest.mark.requirement("T-A-17")
def test_petrochem():
    BOOK.prove("cn-2014-petrochem", PETROCHEM)


@pytest.mark.requirement("T-A-18")
def test_coking():
    BOOK.prove("cn-2014-coking", COKING)


@pytest.mark.requirement("T-A-19")
def test_coal():
    BOOK.prove("cn-2014-coal", COAL)


@pytest.mark.slow
@pytest.mark.requirement("T-9.1-1", part="what a user of the guides of 2014 is likely to get wrong")
@pytest.mark.parametrize(
    "method, source, text, why",
    (
        ("oilgas", "flare_normal_ch4", "Q=50 V_CH4=80", "fraction from 0 to 1, not 80"),
        ("oilgas", "fuel_combustion", "FC=100t fuel=natural_gas", "same thing"),
        ("oilgas", "processing_ch4_vent", "Q=3.5t", "same thing"),
        ("oilgas", "production_ch4_vent", "Num=3", "EF .*tCH4"),
        ("oilgas", "production_ch4_vent", "Num=3 EF=ndrc-2014/production_vent/oil_wellhead", "unknown factor"),
        ("oilgas", "flare_normal_co2", "Q=50 V_CO2=0.03", "CC"),
        ("oilgas", "co2_recovery", "Q_ext=10m3 PUR_ext=0.9 Q_raw=0 PUR_raw=0", "same thing"),
        ("petrochem", "flare_accident_co2", "GF=3 T=2", "CN"),
        ("petrochem", "reforming_batch", "MC=80 CFb=8 CFa=0.5", "fraction from 0 to 1, not 8"),
        ("petrochem", "reforming_batch", "MC=80 CFb=1 CFa=0", "division by zero"),
        ("petrochem", "other_products", "AD_r=100 CC_r=0.8 AD_w=5", "CC_w"),
        ("petrochem", "other_products", "AD_r=1 AD_r=2 AD_r=3 CC_r=0.8 CC_r=0.9", "lines"),
        ("petrochem", "ethylene_decoke", "Q_wg=5000m3/h T=1 V_CO2=0.1 V_CO=0", "same thing"),
        ("coking", "coking_process", "PM=1 CC_PM=0.76 COK=1 CC_COK=0.8", "COG .*CC_COG"),
        ("coking", "coking_process", "PM=1 CC_PM=76% COK=1 CC_COK=0.8 COG=1 CC_COG=2", "tC/t"),
        ("coal", "underground_ch4", "q_avg=12 Q_drain=1 Q_flare=0 Q_use=0", "lacks Q_vent .* or q_avg and days"),
        ("coal", "surface_ch4", "AD=1000m3", "same thing"),
        ("coal", "postmining_ch4", "AD=1000", "EF"),
    ),
)  # fmt: skip
def test_what_is_likely_to_be_wrong(method, source, text, why):
    BOOK.refuse("cn-2014-" + method, source, text, why)


def test_a_guide_is_not_valid_before_its_day():
    with pytest.raises(CarbonError, match="not valid on 2014-12-02"):
        library.account(METHODS["cn-2014-coal"], "purchased_heat", worked.given("AD=1"), FACTORS, date("2014-12-02"))


def test_successors_are_warned_of_not_refused():
    for name, by in (("oilgas", "16"), ("petrochem", "15"), ("coking", "13")):
        method = METHODS["cn-2014-" + name]
        assert library.warnings(method, AT) == []
        (warning,) = library.warnings(method, date("2024-07-01"))
        assert "GB/T 32151.%s—2023" % by in warning and "2024-07-01" in warning
        print(warning)
