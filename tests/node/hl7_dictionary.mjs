// Reads messages {name: text} in HL7's ER7 on standard input; prints {name: [what is wrong, ...]} by hl7-dictionary: segments
// that the version does not have, fields past the last, required fields that are empty, repetitions that are too long.
import { readFileSync } from "node:fs";
import dictionary from "hl7-dictionary";

const REQUIRED = 2;

function problems(text) {
  const segments = text.replace(/\r$/, "").split("\r").map((line) => line.split("|"));
  const version = dictionary.definitions[(segments[0][11] ?? "").split("^")[0]];
  if (!version) return ["no such version"];
  return segments.flatMap(([name, ...rest]) => {
    const segment = version.segments[name];
    if (!segment) return [`${name}: no such segment`];
    const values = name === "MSH" ? ["|", ...rest] : rest;
    const past = values.length > segment.fields.length ? [`${name}: more than ${segment.fields.length} fields`] : [];
    return past.concat(
      segment.fields.flatMap((field, index) => {
        const value = values[index] ?? "";
        if (field.opt === REQUIRED && !value) return [`${name}-${index + 1}: required`];
        if (name === "MSH" && index < 2) return [];
        const long = field.len ? value.split("~").filter((each) => each.length > field.len) : [];
        return long.map((each) => `${name}-${index + 1}: ${each.length} characters, ${field.len} at most`);
      }),
    );
  });
}

const messages = JSON.parse(readFileSync(0, "utf8"));
console.log(JSON.stringify(Object.fromEntries(Object.entries(messages).map(([name, text]) => [name, problems(text)]))));
