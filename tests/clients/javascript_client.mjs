// The cases of cases.json, told to the official JavaScript client as python_client.py does.
//
// Run in a folder that has the client installed: node javascript_client.mjs BASE_URL; prints a fault a line.

import { readFileSync } from "node:fs";
import { createRequire } from "node:module";

const OpenAI = createRequire(`${process.cwd()}/`)("openai");
const cases = JSON.parse(readFileSync(new URL("cases.json", import.meta.url), "utf8"));
const client = new OpenAI({ baseURL: process.argv[2], apiKey: "none", maxRetries: 0 });

async function result(one) {
  try {
    switch (one.call) {
      case "chat.completions.create": {
        const answer = await client.chat.completions.create(one.with);
        return one.with.stream ? await collected(answer) : answer;
      }
      case "embeddings.create":
        return await client.embeddings.create(one.with);
      case "models.list": {
        const { object, data } = await client.models.list();
        return { object, data };
      }
      case "models.retrieve":
        return await client.models.retrieve(one.model);
      default:
        throw new Error(one.call);
    }
  } catch (error) {
    if (!(error instanceof OpenAI.APIError)) throw error;
    const { status, code, type, param, message, requestID } = error;
    return { error: { status, class: error.constructor.name, code, type, param, message, request_id: requestID } };
  }
}

async function collected(stream) {
  const chunks = [];
  for await (const chunk of stream) chunks.push(chunk);
  const chosen = chunks.filter((chunk) => chunk.choices.length);
  return {
    text: chosen.map((chunk) => chunk.choices[0].delta.content ?? "").join(""),
    chunks,
    last: chosen.at(-1),
    usages: chunks.filter((chunk) => chunk.usage),
  };
}

const at = (found, path) => path.match(/[^.[\]]+/g).reduce((value, step) => value?.[step], found) ?? null;

function holds(value, check) {
  const [[kind, wanted]] = Object.entries(check);
  switch (kind) {
    case "is":
      return JSON.stringify(value) === JSON.stringify(wanted);
    case "contains":
      return (value ?? "").includes(wanted);
    case "starts":
      return String(value).startsWith(wanted);
    case "length":
      return Array.isArray(value) && value.length === wanted;
    case "kind":
      if (wanted === "text") return typeof value === "string" && value !== "";
      if (wanted === "unit vector") return Array.isArray(value) && Math.abs(Math.hypot(...value) - 1) < 1e-3;
  }
  throw new Error(JSON.stringify(check));
}

let faults = 0;
for (const one of cases) {
  const found = await result(one);
  for (const [path, check] of Object.entries(one.expect)) {
    if (holds(at(found, path), check)) continue;
    faults += 1;
    console.log(`${one.name}: ${path} is ${JSON.stringify(at(found, path))}, not ${JSON.stringify(check)}`);
  }
}
console.log(`${cases.length} cases, ${faults} faults`);
process.exit(faults ? 1 : 0);
