// Reads messages {name: {text, places}} in ER7 on standard input by three parsers of npm, a place being [segment, field,
// component]; prints {name: {parser: [text, ...]}}, "" for what a parser does not find there.
import { readFileSync } from "node:fs";
import { createRequire } from "node:module";
import { Hl7Message } from "@medplum/core";
import * as nodeHl7 from "node-hl7-client";

const hl7 = createRequire(import.meta.url)("simple-hl7");

const readers = {
  "@medplum/core"(text, places) {
    const message = Hl7Message.parse(text);
    return places.map(([segment, field, component]) => message.getSegment(segment)?.getComponent(field, component));
  },
  "node-hl7-client"(text, places) {
    const message = new nodeHl7.Message({ text });
    return places.map(([segment, field, component]) => message.get(`${segment}.${field}.${component}`).toString());
  },
  "simple-hl7"(text, places) {
    const message = new hl7.Parser({ segmentSeperator: "\r" }).parse(text);
    return places.map(([segment, field, component]) =>
      segment === "MSH"
        ? message.header.getComponent(field - 2, component) // without MSH-1 and MSH-2
        : message.getSegment(segment)?.getComponent(field, component),
    );
  },
};

const messages = JSON.parse(readFileSync(0, "utf8"));
const read = ({ text, places }) =>
  Object.fromEntries(
    Object.entries(readers).map(([name, reader]) => [name, reader(text, places).map((each) => String(each ?? ""))]),
  );
console.log(JSON.stringify(Object.fromEntries(Object.entries(messages).map(([name, each]) => [name, read(each)]))));
