// A unit of the npm package modbus-serial: `node modbus_serial_unit.mjs rtu PATH` or `tcp PORT`.
// Register 0 is -42, registers 1 and 2 are -4.25 as float32, high word first; past 15 it answers with exception 2.
import ModbusRTU from "modbus-serial";

const words = [0xffd6, 0xc088, 0x0000];
const UNIT = 1;

const vector = {
  getHoldingRegister(address) {
    if (address > 15) throw Object.assign(new Error("no such register"), { modbusErrorCode: 2 });
    return words[address] ?? 0;
  },
};

const [kind, place] = process.argv.slice(2);
if (kind === "rtu") {
  const options = { openCallback: ready, interval: 20 };
  const server = new ModbusRTU.ServerSerial(vector, { port: place, baudRate: 19200, unitID: UNIT, ...options });
  server.on("error", fail);
} else {
  const server = new ModbusRTU.ServerTCP(vector, { host: "127.0.0.1", port: Number(place), unitID: UNIT });
  server.on("initialized", () => ready(null));
  server.on("serverError", fail);
}

function ready(error) {
  if (error) fail(error);
  console.log("ready");
}

function fail(error) {
  console.error(error);
  process.exit(1);
}
