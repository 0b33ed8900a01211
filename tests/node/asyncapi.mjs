// Reads an AsyncAPI document on standard input; prints what the parser finds wrong, one line each. Exit code 1 if anything.
import { Parser } from "@asyncapi/parser";
import { readFileSync } from "node:fs";

const { document, diagnostics } = await new Parser().parse(readFileSync(0, "utf8"));
const wrong = diagnostics.filter((each) => each.severity <= 1); // errors and warnings
for (const each of wrong) console.log(`${each.severity} ${each.code} ${each.path.join(".")}: ${each.message}`);
if (document) console.log(`${document.channels().length} channels, ${document.operations().length} operations, ${document.messages().length} messages`);
process.exit(document && wrong.length === 0 ? 0 : 1);
