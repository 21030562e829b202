// Adds a document and asks about it over gRPC, with types generated from the contracts.
//
//   npm run build && node built/ask.js [HOST:PORT]
//   (a mesh must run; RAGMESH_API_KEY holds the key, if it asks for one)

import * as grpc from "@grpc/grpc-js";
import * as loader from "@grpc/proto-loader";
import { fileURLToPath } from "node:url";

import type { ProtoGrpcType as AskTypes } from "./generated/ask_service.js";
import type { ProtoGrpcType as CollectionTypes } from "./generated/collection_service.js";
import type { ProtoGrpcType as DocumentTypes } from "./generated/document_service.js";
import type { BadRequest__Output } from "./generated/google/rpc/BadRequest.js";
import type { ErrorInfo__Output } from "./generated/google/rpc/ErrorInfo.js";
import type { Status__Output } from "./generated/google/rpc/Status.js";
import type { AskServiceClient } from "./generated/ragmesh/api/gateway/v1/AskService.js";
import type { Citation__Output } from "./generated/ragmesh/api/gateway/v1/Citation.js";
import type { CollectionServiceClient } from "./generated/ragmesh/api/gateway/v1/CollectionService.js";
import type { DocumentServiceClient } from "./generated/ragmesh/api/gateway/v1/DocumentService.js";

const ROOT = fileURLToPath(new URL("../../../../", import.meta.url));
const COLLECTION = "lighthouses-typescript";
const QUESTION = "How high is the lighthouse of Grömsiel?";
const TEXT = `# The lighthouse of Grömsiel

The lighthouse of Grömsiel is 31 metres high. It was built in 1889 and runs without a keeper
since 1978. Its light is seen from 17 nautical miles away.
`;
const PATIENCE_MS = 30_000;

const contracts = loader.loadSync(
  [
    "ragmesh/api/gateway/v1/ask_service.proto",
    "ragmesh/api/gateway/v1/collection_service.proto",
    "ragmesh/api/gateway/v1/document_service.proto",
    "google/rpc/error_details.proto",
    "google/rpc/status.proto",
  ],
  {
    includeDirs: [`${ROOT}protos`, `${ROOT}third_party/googleapis`],
    keepCase: true,
    longs: Number,
    enums: String,
    defaults: true,
    oneofs: true,
  },
);
const gateway = (grpc.loadPackageDefinition(contracts) as unknown as AskTypes & CollectionTypes & DocumentTypes).ragmesh
  .api.gateway.v1;

/** What a call carries: a key if there is one, and always a deadline. */
function carried(): [grpc.Metadata, grpc.CallOptions] {
  const metadata = new grpc.Metadata();
  const key = process.env.RAGMESH_API_KEY;
  if (key) metadata.set("authorization", `Bearer ${key}`);
  return [metadata, { deadline: Date.now() + PATIENCE_MS }];
}

/** A call with one answer, as a promise. */
function answered<Answer>(call: (done: grpc.requestCallback<Answer>) => unknown): Promise<Answer> {
  return new Promise((resolve, reject) => call((error, answer) => (error ? reject(error) : resolve(answer!))));
}

/** Makes the collection unless an earlier run has made it. */
async function makeCollection(collections: CollectionServiceClient): Promise<void> {
  const request = { name: COLLECTION, language: "en" };
  try {
    await answered((done) => collections.CreateCollection(request, ...carried(), done));
  } catch (error) {
    if (reasonOf(error as grpc.ServiceError) !== "COLLECTION_EXISTS") throw error;
  }
}

/** Sends a text and follows its job to the end. */
async function addDocument(documents: DocumentServiceClient): Promise<void> {
  const header = { document_id: "groemsiel.md", content_type: "text/markdown" };
  const request = { collection: COLLECTION, document: { header, text: TEXT } };
  const { accepted } = await answered<{ accepted?: { job_id: string; document_id: string; revision: number } | null }>(
    (done) => documents.CreateDocument(request, ...carried(), done as never),
  );
  let state: string | undefined;
  for await (const event of documents.WatchJob({ job_id: accepted!.job_id }, ...carried())) {
    state = event.job?.state;
  }
  if (state !== "JOB_STATE_SUCCEEDED") throw new Error(`the document was not indexed: ${state}`);
  console.log(`${accepted!.document_id} revision ${accepted!.revision} can be found.`);
}

/** Prints the answer as it is written, then what it rests on. */
async function ask(asking: AskServiceClient, question: string): Promise<void> {
  const citations: Citation__Output[] = [];
  for await (const event of asking.StreamAnswer({ ask: { collection: COLLECTION, question } }, ...carried())) {
    switch (event.event) {
      case "delta":
        process.stdout.write(event.delta!.text);
        break;
      case "citation":
        citations.push(event.citation!);
        break;
      case "finish":
        console.log(`\n${event.finish!.status}, confidence ${event.finish!.confidence.toFixed(2)}`);
    }
  }
  for (const { marker, document_id, quote } of citations) console.log(`${marker} ${document_id}: ${quote}`);
}

/** A message of `google.rpc` from its bytes. */
function decoded<Message>(name: string, bytes: Buffer): Message {
  return (contracts[name] as loader.MessageTypeDefinition<object, object>).deserialize(bytes) as Message;
}

/** The details of a refusal that are of this type. */
function details<Detail>(error: grpc.ServiceError, type: string): Detail[] {
  const [status] = error.metadata.get("grpc-status-details-bin");
  if (!(status instanceof Buffer)) return [];
  return decoded<Status__Output>("google.rpc.Status", status)
    .details.map((detail) => detail as unknown as { type_url: string; value: Buffer })
    .filter((detail) => detail.type_url.endsWith(`/${type}`))
    .map((detail) => decoded<Detail>(type, detail.value));
}

/** The stable reason of a refusal, or gRPC's own code when nobody answered. */
function reasonOf(error: grpc.ServiceError): string {
  const [info] = details<ErrorInfo__Output>(error, "google.rpc.ErrorInfo");
  return info?.reason ?? grpc.status[error.code]!;
}

/** Says which fields a refusal is about. */
function describe(error: grpc.ServiceError): string {
  const fields = details<BadRequest__Output>(error, "google.rpc.BadRequest")
    .flatMap((found) => found.field_violations)
    .map((violation) => `; ${violation.field} ${violation.description}`);
  return `${grpc.status[error.code]} ${reasonOf(error)}${fields.join("")}`;
}

const address = process.argv[2] ?? "127.0.0.1:50051";
const credentials = grpc.credentials.createInsecure();
const asking = new gateway.AskService(address, credentials);
await makeCollection(new gateway.CollectionService(address, credentials));
await addDocument(new gateway.DocumentService(address, credentials));
await ask(asking, QUESTION);
// A refusal says what is wrong with which field.
await ask(asking, " ").catch((error: grpc.ServiceError) => console.log(describe(error)));
process.exit(0);
