// A sender of npm: `node mllp_sender.mjs PACKAGE PORT`. Sends the message on standard input by MLLP, prints what it makes of
// the answer: {"code": MSA-1, "for": MSA-2}.
import { readFileSync } from "node:fs";
import { createRequire } from "node:module";
import { Hl7Message } from "@medplum/core";
import { Hl7Client } from "@medplum/hl7";
import * as nodeHl7 from "node-hl7-client";

const hl7 = createRequire(import.meta.url)("simple-hl7");
const [name, port] = [process.argv[2], Number(process.argv[3])];
const text = readFileSync(0, "utf8");

const senders = {
  async "@medplum/hl7"() {
    const client = new Hl7Client({ host: "127.0.0.1", port });
    const answer = await client.sendAndWait(Hl7Message.parse(text));
    await client.close();
    const words = answer.getSegment("MSA");
    return { code: words.getComponent(1, 1), for: words.getComponent(2, 1) };
  },
  "node-hl7-client": () =>
    new Promise((resolve) => {
      const client = new nodeHl7.Client({ host: "127.0.0.1" });
      const connection = client.createConnection({ port }, async (response) => {
        const answer = response.getMessage();
        await connection.close();
        resolve({ code: answer.get("MSA.1").toString(), for: answer.get("MSA.2").toString() });
      });
      connection.sendMessage(new nodeHl7.Message({ text }));
    }),
  "simple-hl7": () =>
    new Promise((resolve, reject) => {
      const client = hl7.Server.createTcpClient("127.0.0.1", port);
      client.send(new hl7.Parser({ segmentSeperator: "\r" }).parse(text), (error, answer) => {
        if (error) return reject(error);
        const words = answer.getSegment("MSA");
        resolve({ code: String(words.getField(1)), for: String(words.getField(2)) });
      });
    }),
};

console.log(JSON.stringify(await senders[name]()));
process.exit(0);
