// Reads messages {name: text} in ER7 on standard input by three parsers of npm; prints {name: {parser: [MSH-9.1, MSH-9.2,
// MSH-9.3, MSA-1, MSA-2]}}, "" for what a parser does not find.
import { readFileSync } from "node:fs";
import { createRequire } from "node:module";
import { Hl7Message } from "@medplum/core";
import * as nodeHl7 from "node-hl7-client";

const hl7 = createRequire(import.meta.url)("simple-hl7");

const readers = {
  "@medplum/core"(text) {
    const message = Hl7Message.parse(text);
    const kind = [1, 2, 3].map((part) => message.getSegment("MSH").getComponent(9, part));
    return [...kind, ...[1, 2].map((field) => message.getSegment("MSA").getComponent(field, 1))];
  },
  "node-hl7-client"(text) {
    const message = new nodeHl7.Message({ text });
    return ["MSH.9.1", "MSH.9.2", "MSH.9.3", "MSA.1", "MSA.2"].map((path) => message.get(path).toString());
  },
  "simple-hl7"(text) {
    const message = new hl7.Parser({ segmentSeperator: "\r" }).parse(text);
    const kind = [1, 2, 3].map((part) => message.header.getComponent(7, part));
    return [...kind, ...[1, 2].map((field) => message.getSegment("MSA").getField(field))];
  },
};

const messages = JSON.parse(readFileSync(0, "utf8"));
const read = (text) =>
  Object.fromEntries(Object.entries(readers).map(([name, reader]) => [name, reader(text).map((each) => String(each ?? ""))]));
console.log(JSON.stringify(Object.fromEntries(Object.entries(messages).map(([name, text]) => [name, read(text)]))));
