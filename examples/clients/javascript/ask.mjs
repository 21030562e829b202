// Asks a mesh with the official openai client, streamed and not.
//
//   node ask.mjs [BASE_URL] [COLLECTION] [QUESTION]     (a mesh must run; RAGMESH_API_KEY holds the key, if it asks for one)

import OpenAI from "openai";

const [baseURL = "http://127.0.0.1:8080/v1", collection = "handbook", question = "How many days of leave are there?"] =
  process.argv.slice(2);
const client = new OpenAI({ baseURL, apiKey: process.env.RAGMESH_API_KEY ?? "none" });
const model = `ragmesh/${collection}`;

const stream = await client.chat.completions.create({
  model,
  messages: [{ role: "user", content: question }],
  stream: true,
});
let citations = [];
for await (const chunk of stream) {
  const delta = chunk.choices[0]?.delta ?? {};
  process.stdout.write(delta.content ?? "");
  citations = delta.citations ?? citations;
}
console.log();
for (const citation of citations) {
  console.log(`${citation.marker} ${citation.document_id}: ${citation.quote}`);
}

try {
  await client.chat.completions.create({ model, messages: [{ role: "user", content: " " }] });
} catch (error) {
  if (!(error instanceof OpenAI.APIError)) throw error;
  // `code` is OpenAI's, `reason` is the one of every other door.
  console.log(`${error.status} ${error.error.reason}; ${error.param}`);
}
