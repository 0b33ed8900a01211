// An interface engine of npm: `node mllp_engine.mjs PACKAGE PORT`. Prints the control id of each message that it took, a
// line each, after "ready"; answers as the package does by itself.
import { createRequire } from "node:module";
import { Hl7Server } from "@medplum/hl7";
import * as nodeHl7 from "node-hl7-server";

const hl7 = createRequire(import.meta.url)("simple-hl7");
const [name, port] = [process.argv[2], Number(process.argv[3])];
const heard = (id) => console.log(String(id));

const engines = {
  "@medplum/hl7"() {
    const server = new Hl7Server((connection) => {
      connection.addEventListener("message", ({ message }) => {
        heard(message.getSegment("MSH").getComponent(10, 1));
        connection.send(message.buildAck());
      });
      connection.addEventListener("error", () => {});
    });
    server.start(port);
  },
  "node-hl7-server"() {
    new nodeHl7.Server({ bindAddress: "127.0.0.1" }).createInbound({ port }, async (request, response) => {
      heard(request.getMessage().get("MSH.10").toString());
      await response.sendResponse("AA");
    });
  },
  "simple-hl7"() {
    const app = hl7.tcp();
    app.use((request, response, next) => {
      heard(request.msg.header.getField(8));
      response.end();
      next();
    });
    app.start(port);
  },
};

engines[name]();
setTimeout(() => console.log("ready"), 200);
