// A unit of the npm package jsmodbus on TCP: `node jsmodbus_unit.mjs PORT`.
// Register 0 is -42, registers 1 and 2 are -4.25 as float32, high word first; past 15 it sends an empty success.
import net from "node:net";
import modbus from "jsmodbus";

const holding = Buffer.alloc(32);
holding.writeInt16BE(-42, 0);
holding.writeFloatBE(-4.25, 2);

const server = new net.Server();
new modbus.server.TCP(server, { holding });
server.listen(Number(process.argv[2]), "127.0.0.1", () => console.log("ready"));
