// Reads cases {name: event} on standard input; prints {name: [what is wrong, ...]} by the schema of the CloudEvents
// specification, which the package carries, by the package's own strict reader, and by its MQTT binding both ways.
import { readFileSync } from "node:fs";
import { createRequire } from "node:module";
import { isDeepStrictEqual } from "node:util";
import Ajv from "ajv";
import formats from "ajv-formats";
import { CloudEvent, MQTT } from "cloudevents";

const path = createRequire(import.meta.url).resolve("cloudevents").replace(/index\.js$/, "schema/v1.js");
const line = readFileSync(path, "utf8").split("\n").find((each) => each.includes('"CloudEvents Specification JSON Schema"'));
const ajv = new Ajv({ strict: false });
formats(ajv);
const specified = ajv.compile(JSON.parse(line.slice(line.indexOf("{"), line.lastIndexOf("}") + 1)));

function trip(event, message, contentType) {
  if (message.PUBLISH["Content Type"] !== contentType) throw new Error(`content type ${message.PUBLISH["Content Type"]}`);
  const wire = JSON.parse(JSON.stringify({ PUBLISH: message.PUBLISH, headers: message.headers, body: message.body }));
  const back = JSON.parse(JSON.stringify(MQTT.toEvent(wire, true)));
  back.time = event.time; // compared as instants below: the package writes them anew
  if (Date.parse(message.headers.time ?? message.body.time) !== Date.parse(event.time)) throw new Error("another time");
  if (!isDeepStrictEqual(back, event)) throw new Error(`changed: ${JSON.stringify(back)}`);
}

const checks = {
  schema: (event) => { if (!specified(event)) throw new Error(ajv.errorsText(specified.errors)); },
  package: (event) => new CloudEvent(event, true).validate(),
  structured: (event) => trip(event, MQTT.structured(new CloudEvent(event, true)), "application/cloudevents+json; charset=utf-8"),
  binary: (event) => trip(event, MQTT.binary(new CloudEvent(event, true)), event.datacontenttype ?? "application/json"),
};
const wrong = {};
for (const [name, event] of Object.entries(JSON.parse(readFileSync(0, "utf8")))) {
  wrong[name] = [];
  for (const [by, check] of Object.entries(checks)) {
    try { check(event); } catch (error) { wrong[name].push(`${by}: ${error.message}`); }
  }
}
console.log(JSON.stringify(wrong));
