"""The codes of faults, and where a terminal sees each of them (10.6.1, 10.6.2 e); docs/faults.md says them for people.

A code never changes its meaning, and none is used again for something else. `present(app)` looks at a running
carbonterm_device.app.App and changes nothing.
"""

from carbonterm.clock import HOLDOVER, UNSET
from carbonterm.ledger import room
from carbonterm.uplink.outbox import STOPPED
from carbonterm_device.failures import FAILURES

# code: what it is, what to do; each in English and Chinese
FAULTS = {
    "F101": ("a meter does not answer · 仪表无应答",
             "check its power, unit number and wiring · 检查仪表供电、地址和接线"),
    "F102": ("a meter's answers are broken · 仪表应答损坏",
             "check baud rate, parity, A and B, termination, doubled addresses"
             " · 检查波特率、校验位、A/B 线、终端电阻、地址冲突"),
    "F103": ("a meter refuses · 仪表拒绝读取",
             "check the register's address and the model: probe · 核对寄存器地址和型号"),
    "F104": ("no meter of a line answers · 总线无应答",
             "the line is cut or its supply is off: check the cable first · 线路断开或停电，先查终端侧接线"),
    "F105": ("a line cannot be opened · 链路断开",
             "check adapter, device name, network and the other end · 检查适配器、设备名、网络和对端"),
    "F106": ("rounds of a line come late · 采集轮次延迟",
             "ask less often, or spread the meters over more lines · 加大采集间隔或分到更多总线"),
    "F107": ("readings are not believed · 读数不可信",
             "was the meter replaced or reset? say so: docs/series.md · 若换表或清零请登记"),
    "F108": ("readings above twice the largest month · 超出历史月度两倍",
             "compare with the display; check CT and PT · 与表显核对，检查变比"),
    "F109": ("another meter is there than on record · 仪表编号不符",
             "compare the serial number, correct the record · 核对出厂编号并更正档案"),
    "F110": ("a point stands still · 数据中断",
             "bring it back within three working days · 三个工作日内恢复"),
    "F111": ("manual data are missing · 人工数据未填报",
             "carbonterm enter · 请填报"),
    "F201": ("an entrance for messages does not work · 接入服务异常",
             "check address, certificate, broker · 检查地址、证书和代理"),
    "F202": ("a sender says nothing · 发送方无数据",
             "check the sending system and its network · 检查发送系统和网络"),
    "F301": ("the storage is full · 存储已满",
             "free space, or restore the link · 腾出空间或恢复通信"),
    "F302": ("the storage is read-only · 存储只读",
             "check the file system, mount it writable · 检查存储并重新挂载为可写"),
    "F303": ("the storage fails · 存储读写错误",
             "copy the folder away and replace the storage · 备份数据并更换存储"),
    "F304": ("room runs out, readings are left out · 存储不足，读数稀疏",
             "see which centre is behind · 查看哪个中心未确认"),
    "F305": ("room for less than seven days · 存储余量不足七天",
             "restore the link or add storage · 恢复通信或扩容"),
    "F306": ("what may go cannot be removed · 无法清除数据",
             "check the file system · 检查文件系统"),
    "F401": ("the clock is not set · 时钟未设定",
             "set it, or let it reach a time server · 校时或连接时间服务器"),
    "F402": ("the clock has lost its source · 时钟失去时间源",
             "check the time server, GNSS or clock chip · 检查时间服务器、卫星或时钟芯片"),
    "F403": ("the clock was set by a step · 时钟跳变",
             "see why: docs/time.md · 查明原因"),
    "F501": ("a centre does not answer · 中心无应答",
             "check network, firewall and the centre's address · 检查网络、防火墙和中心地址"),
    "F502": ("a centre's certificate is refused · 中心证书被拒绝",
             "is it out of date, or another CA's? check this clock too · 证书是否过期或不属于该 CA，并核对本机时钟"),
    "F503": ("a centre refuses · 中心拒绝接收",
             "is the terminal registered there? · 核对终端在中心的登记"),
    "F504": ("a centre knows another history of this log · 中心与本机日志不一致",
             "keep both, begin a new epoch: docs/keys.md · 保留双方数据，启用新密钥周期"),
    "F505": ("a centre's answers make no sense · 中心应答异常",
             "tell who runs it · 联系平台运营方"),
    "F601": ("nothing is signed any more · 停止签名",
             "a new epoch by the operator: docs/keys.md · 由运营方启用新密钥周期"),
    "F602": ("the log's replay differs · 日志重放不一致",
             "pull the log and have it checked · 导出日志送检"),
    "F701": ("a calibration is due · 校准即将到期",
             "have the instrument calibrated · 安排校准"),
    "F702": ("a calibration certificate is out of date · 校准证书过期",
             "calibrate, put the new certificate into the site document · 校准并更新证书"),
    "F801": ("the temperature is outside the limits · 温度超限",
             "check the housing, its place and ventilation · 检查机箱、安装位置和散热"),
    "F802": ("memory runs out · 内存不足",
             "see what else runs on this machine · 检查本机其他程序"),
    "F901": ("a task has stopped · 任务停止",
             "it is started again; if it stays, restart and send the error log · 已自动重启；若持续请重启并上报"),
    "F902": ("a task failed · 任务出错",
             "it begins again after a second; send the error log · 一秒后自动重试；请上报错误日志"),
    "F903": ("what was asked cannot be done · 操作未执行",
             "see the text · 见说明"),
}  # fmt: skip
ROUNDS = 3  # without an answer, with a broken one or a refusal, before it is a fault
_STORAGE = {28: "F301", 122: "F301", 27: "F301", 30: "F302"}


def present(app):
    """[(code, where, text)] of what is wrong now: where names the thing and stays the same, text says it at length."""
    found = _storage(app.terminal, app.upkeep)
    for one in app.acquisitions:
        found += _bus(one)
    for one in app.inboxes:
        found += _inbox(one)
    for one in app.deliveries:
        found += _centre(one)
    found += _clock(app.clock)
    if app.terminal.stopped:
        found.append(("F601", "epoch %d" % app.terminal.log.epoch, app.terminal.stopped))
    if app.terminal.disagreements:
        found.append(("F602", "log", "%d entries" % app.terminal.disagreements))
    return found


def _bus(one):
    """Of an acquisition."""
    found = [("F109", text.partition(":")[0], text) for text in one.identification.alarms()]
    driver = one.driver
    failure = getattr(driver, "failure", "")  # inputs of the terminal's own have no link
    if failure:
        return found + [("F105", one.name, "%s: %s" % (driver.where, failure))]
    asked = [meter for meter in one.meters.values() if meter.silent or meter.seen is not None]
    silent = [meter for meter in asked if meter.silent >= ROUNDS]
    broken = [meter for meter in silent if meter.broken]
    if len(silent) == len(asked) > 1 and not broken:
        return found + [("F104", one.name, "none of its %d meters" % len(asked))]
    for meter in silent:
        what = "bytes come, and no whole answer" if meter.broken else "no answer"
        rounds = "%s in %d rounds" % (what, meter.silent)
        found.append(("F102" if meter.broken else "F101", meter.row.name, "%s, unit %s: %s" % (
            one.name, meter.row.unit, rounds)))  # fmt: skip
    for meter in asked:
        often = [why for count, why in meter.refused.values() if count >= ROUNDS]
        if often:
            found.append(("F103", meter.row.name, often[0]))
    return found


def _inbox(one):
    """Of an entrance."""
    found = []
    if one.reason and not one.connected:
        found.append(("F201", one.name, one.reason))
    for sender in one.senders.values():
        longest = max([point.interval_ms for _, point in sender.points] or [0])
        if longest and one.silent_ms(sender) > 2 * longest:
            found.append(("F202", sender.row.name, "%s: nothing for two intervals" % one.name))
    return found


def _centre(courier):
    """Of a courier, whose outbox says in words what the centre did."""
    box = courier.now.outbox
    if box.state == STOPPED:
        return [("F504", courier.name, box.error)]
    if not box.error:
        return []
    code = "F505"
    for begin, one in (("no answer", "F501"), ("the centre did not answer", "F501"), ("the centre refused", "F503"),
                       ("the centre's certificate", "F502")):  # fmt: skip
        if box.error.startswith(begin):
            code = one
    return [(code, courier.name, box.error)]


def _clock(clock):
    if clock.state == UNSET:
        return [("F401", "clock", "no time since the start")]
    if clock.state == HOLDOVER and not clock.simulated:
        return [("F402", "clock", "it goes on by itself")]
    return []


def _storage(terminal, upkeep):
    found = []
    if terminal.failed:
        code = "F303"
        for number in _STORAGE:
            if FAILURES[number] == terminal.failed:
                code = _STORAGE[number]
        found.append((code, "storage", "nothing is recorded: " + terminal.failed[0]))
    if terminal.step > room.EARLY:
        found.append(("F304", "storage", room.STEPS[terminal.step][1]))
    return found + upkeep.faults()
