"""A small steelworks with a boundary, as site.yaml, and a log of it with figures of two months (CPython only)."""

from carbonterm import clock
from carbonterm.gm import sm3
from carbonterm.ledger import entry
from carbonterm_host import site_yaml

SITE = """\
terminal: CT-STEEL
name: 示范钢铁
zone: "+08:00"
factors_on: 2026-01-01
buses:
  - {name: lan, kind: modbus-tcp, host: 192.168.1.20}
meters:
  - {name: 总进线, bus: lan, unit: 1, model: eastron-sdm630}
  - {name: 炼钢配电, bus: lan, unit: 2, model: eastron-sdm630}
  - {name: 光伏, bus: lan, unit: 3, model: eastron-sdm630}
  - {name: 加热炉燃气, bus: lan, unit: 4, model: generic-gas-modbus}
  - {name: 食堂燃气, bus: lan, unit: 5, model: generic-gas-modbus}
  - {name: 备用, bus: lan, unit: 6, model: eastron-sdm630}
points:
  - {name: E1, meter: 总进线, register: active_energy_import, every: 1min}
  - {name: E2, meter: 炼钢配电, register: active_energy_import, every: 1min}
  - {name: PV, meter: 光伏, register: active_energy_export, every: 1min}
  - {name: G1, meter: 加热炉燃气, register: volume, every: 1min, limit: "1000"}
  - {name: G2, meter: 食堂燃气, register: volume, every: 1min, limit: "1000"}
sources:
  - name: 购入电力
    method: cn-2013-steel
    source: purchased_electricity
    parameters: {AD_e: [E1], EF_e: {value: "0.5703", unit: tCO2/MWh, source: 全国电网平均排放因子}}
  - name: 加热炉
    method: cn-2013-steel
    source: fossil_combustion
    parameters: {FC: [G1], fuel: 天然气}
  - name: 食堂
    method: common
    source: fossil_combustion
    parameters:
      FC: [G2]
      NCV: {value: "389.31", unit: GJ/10^4Nm3, source: 指南}
      CC: {value: "0.0153", source: 指南}
      OF: {value: "0.99", source: 指南}
boundary:
  entity:
    name: 示范钢铁有限公司
    code: 91350100M000100Y43
    registration: {date: 2001-05-08, authority: 市场监督管理局, representative: 张三, address: 开发区一号}
    contact: {name: 李四, phone: 010-12345678, email: carbon@example.cn}
    annual: {year: 2025, tco2e: "31000"}
  divide: site
  units:
    - {name: 主厂区, sector: steel}
    - {name: 轧钢车间, of: 主厂区}
  sources:
    - {source: 购入电力, unit: 主厂区}
    - {source: 加热炉, unit: 轧钢车间}
    - {source: 食堂, unit: 主厂区, share: "0.4"}
    - {source: 食堂, share: "0.6", exclude: 承租方用能}
  submeters:
    - {meter: 炼钢配电, main: 总进线}
  clean:
    - {point: PV, type: pv}
  checklist:
    - {sector: steel, item: methanol_output, reason: 不生产甲醇}
    - {sector: steel, item: 氧气消耗量, unit: 10^4Nm3}
  measures:
    - {kind: output, name: 工业总产值, unit: 万元, value: "120000", year: 2026}
    - {kind: area, name: 厂区, unit: m2, value: "300000"}
  products:
    by: mass
    rows:
      - {name: 热轧卷, unit: t, value: "8000", year: 2026}
      - {name: 氧化铁皮, unit: t, value: "120", year: 2026, weight: "0.3"}
"""
AMOUNTS = {"E1": 500000, "E2": 200000, "PV": 100000, "G1": 400000, "G2": 1000}  # kWh and Nm3 of a month


def site():
    return site_yaml.compile_text(SITE)


def written(log, at_ms):
    """Appends to a Log: the site, and of January and February 2026 closings and emissions of the two months; those of
    February a second time as version 2, one gram more."""
    one = site()
    canonical = one.canonical()
    log.append(at_ms, 3, entry.START, ["0.1.0", "micropython 1.25", "first", 0])
    log.append(at_ms, 3, entry.CONFIG, [sm3.digest(canonical), canonical])
    names = [point.name for point in one.points]
    for month in (1, 2):
        start = clock.stamp(2026, month, 1, zone=one.zone)
        end = clock.end(clock.MONTH, start, one.zone)
        rows = [[i, 0, 0, AMOUNTS[name] * month, None, None] for i, name in enumerate(names)]
        log.append(end, 3, entry.CLOSING, [clock.MONTH, start, rows])
        figures = [[0, 0, -6, 285150000 * month, bytes(32)], [1, 0, -6, 864865523 * month, bytes(32)],
                   [2, 0, -6, 2162191 * month, bytes(32)]]  # fmt: skip
        log.append(end, 3, entry.EMISSION, [clock.MONTH, start, 1, figures])
        if month == 2:
            figures[0][3] += 1
            log.append(end, 3, entry.EMISSION, [clock.MONTH, start, 2, figures, "factor confirmed"])
    log.commit()
    log.checkpoint()
    return one
