// An RP2040 with its flash, by rp2040js: node rp2040.mjs RP2040JS BOOTROM IMAGE.uf2 FLASH PTY
//
// RP2040JS: the npm package's folder; BOOTROM: the chip's ROM; FLASH: a file of the flash's size, which keeps what is
// written, and gets IMAGE while its beginning is empty; PTY: number of the open file that is the other end of its USB serial. A
// reset, as its watchdog makes it, starts the chip anew with that flash. An order on stdin: "cut N" fails the power in the
// middle of the Nth order to the flash from now, which ends this program. Lines on stdout: "boot CAUSE", "cut".
//
// While the chip waits, its clock is ours; while it calculates, it runs as fast as it can.
import fs from "fs";
import { createRequire } from "module";
import { createInterface } from "readline";

const [folder, romFile, imageFile, flashFile, port] = process.argv.slice(2);
const { Simulator, USBCDC, ConsoleLogger, LogLevel } = createRequire(import.meta.url)(folder + "/dist/cjs/index.js");
const usb = Number(port), FLASH = 0x10000000, CYCLE_NS = 8, SLICE = 20000;
const rom = fs.readFileSync(romFile);
const flash = Buffer.from(fs.readFileSync(flashFile));
const file = fs.openSync(flashFile, "r+");
const typed = []; // bytes from the host that the chip has not fetched
let chip, cdc, anchor, cause = "power-on", left = 0;

const say = (line) => fs.writeSync(1, line + "\n");
const end = () => process.kill(process.pid, "SIGKILL"); // exit() would wait for the read of the pty
const keep = (at, size) => fs.writeSync(file, flash, at, size, at);

if (flash.subarray(0, 4096).every((byte) => byte === 0xff)) {
  const uf2 = fs.readFileSync(imageFile);
  for (let at = 0; at + 512 <= uf2.length; at += 512) {
    uf2.copy(flash, uf2.readUInt32LE(at + 12) - FLASH, at + 32, at + 32 + uf2.readUInt32LE(at + 16));
  }
  keep(0, flash.length);
}

// addresses of the ROM's two functions that change the flash: its table has (two letters, address) from where 0x14 says
function romFunction(letters) {
  for (let at = rom.readUInt16LE(0x14); rom.readUInt16LE(at); at += 4) {
    if (rom.toString("latin1", at, at + 2) === letters) return rom.readUInt16LE(at + 2) & ~1;
  }
  throw new Error("the boot ROM has no function " + letters);
}
const ERASE = romFunction("RE"), PROGRAM = romFunction("RP");

// The ROM's function at the program counter, done here by the rules of NOR: erased bytes are 255, written ones lose bits.
function flashFunction(core) {
  const [at, second, third] = core.registers;
  const erase = core.PC === ERASE;
  let size = erase ? second : third;
  const cut = left > 0 && --left === 0;
  if (cut) size >>= 1;
  for (let i = 0; i < size; i++) {
    flash[at + i] = erase ? 0xff : flash[at + i] & chip.readUint8(second + i);
  }
  chip.flash.set(flash.subarray(at, at + size), at);
  keep(at, size);
  if (cut) {
    say("cut");
    end();
  }
  core.PC = core.registers[14] & ~1;
}

function boot() {
  say("boot " + cause);
  const simulator = new Simulator();
  chip = simulator.rp2040;
  chip.logger = new ConsoleLogger(LogLevel.Error, false);
  chip.loadBootrom(new Uint32Array(rom.buffer.slice(rom.byteOffset, rom.byteOffset + rom.length)));
  chip.flash.set(flash);
  const watchdog = chip.peripherals[0x40058];
  watchdog.reason = cause === "watchdog" ? 1 : 0;
  watchdog.onWatchdogTrigger = () => { chip.ended = true; };
  cdc = new USBCDC(chip.usbCtrl);
  cdc.onSerialData = (bytes) => fs.writeSync(usb, bytes);
  chip.core.PC = FLASH;
  anchor = null;
}

// Runs the chip for a while; milliseconds until it has something to do.
function slice() {
  const { core, clock } = chip;
  for (let i = 0; i < SLICE && !chip.ended; i++) {
    while (typed.length && !cdc.txFIFO.full) cdc.sendSerialByte(typed.shift());
    if (core.waiting) {
      anchor ??= { wall: performance.now(), chip: clock.nanos };
      const ahead = (clock.nanos + clock.nanosToNextAlarm - anchor.chip) / 1e6 - (performance.now() - anchor.wall);
      if (ahead > 0 && !typed.length) return ahead;
      clock.tick(clock.nanosToNextAlarm);
    } else {
      anchor = null;
      if (core.PC === ERASE || core.PC === PROGRAM) flashFunction(core);
      clock.tick(core.executeInstruction() * CYCLE_NS);
    }
  }
  return 0;
}

function run() {
  const wait = slice();
  if (chip.ended) {
    cause = "watchdog";
    boot();
  }
  if (wait >= 1) setTimeout(run, Math.min(wait, 20));
  else setImmediate(run);
}

fs.createReadStream(null, { fd: usb }).on("data", (bytes) => typed.push(...bytes)).on("error", () => end());
createInterface({ input: process.stdin }).on("line", (line) => {
  const [word, number] = line.split(" ");
  if (word === "cut") left = Number(number);
}).on("close", () => end());
boot();
run();
