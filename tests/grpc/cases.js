// Some of the calls of cases.py with Node's @grpc/grpc-js as the client: node cases.js ADDRESS AUTHORITY [--ca FILE].
// Prints a line of JSON a case: its name, and the verdict, or what is `broken`.
"use strict";

const crypto = require("node:crypto");
const fs = require("node:fs");
const grpc = require("@grpc/grpc-js");

const [address, authority, , ca] = process.argv.slice(2);
const credentials = ca ? grpc.credentials.createSsl(fs.readFileSync(ca)) : grpc.credentials.createInsecure();
const options = { "grpc.default_authority": authority, "grpc.max_receive_message_length": -1, "grpc.enable_http_proxy": 0 };
if (ca) options["grpc.ssl_target_name_override"] = authority;
const client = new grpc.Client(address, credentials, options);
const same = (octets) => octets;
const path = (method) => `/test.App/${method}`;

const makers = {
  call: (method, request, metadata, more, answered) =>
    client.makeUnaryRequest(path(method), same, same, request, metadata, more, answered),
  source: (method, request, metadata, more) => client.makeServerStreamRequest(path(method), same, same, request, metadata, more),
  sink: (method, _, metadata, more, answered) => client.makeClientStreamRequest(path(method), same, same, metadata, more, answered),
  both: (method, _, metadata, more) => client.makeBidiStreamRequest(path(method), same, same, metadata, more),
};

function plain(metadata) {
  const names = Object.keys(metadata.getMap()).sort();
  return Object.fromEntries(names.map((name) => [name, metadata.get(name).map((value) => (Buffer.isBuffer(value) ? value.toString("hex") : value))]));
}

// A call that is under way: `over` is its verdict, `heard` waits for so many answers.
function begin(kind, method, { request, requests, fields = {}, seconds = 15, compressed = false } = {}) {
  const metadata = new grpc.Metadata();
  for (const [name, values] of Object.entries(fields)) values.forEach((value) => metadata.add(name, value));
  if (compressed) metadata.set("grpc-internal-encoding-request", "gzip");
  const sum = crypto.createHash("sha256");
  const seen = { count: 0, octets: 0, initial: {} };
  const waiting = [];
  const take = (message) => {
    seen.count += 1;
    seen.octets += message.length;
    sum.update(message);
    waiting.splice(0).forEach((wake) => wake());
  };
  const call = makers[kind](method, request, metadata, { deadline: Date.now() + seconds * 1000 }, (_, answer) => answer && take(answer));
  const over = new Promise((done) => {
    call.on("metadata", (metadata) => (seen.initial = plain(metadata)));
    call.on("data", take);
    call.on("error", () => {});
    // The last answer comes behind the status, in the same turn.
    call.on("status", (status) =>
      setImmediate(() => {
        // The library adds to its own details how long which part of it took.
        const details = status.details.replace(/^Deadline exceeded.*$/i, "Deadline exceeded");
        const { count, octets, initial } = seen;
        const sha256 = sum.digest("hex").slice(0, 16);
        done({ status: grpc.status[status.code], details, initial, trailing: plain(status.metadata), count, octets, sha256 });
      }),
    );
  });
  if (requests) {
    requests.forEach((message) => call.write(message));
    call.end();
  }
  const heard = async (count) => {
    while (seen.count < count) await new Promise((wake) => waiting.push(wake));
  };
  return { call, over, heard };
}

const verdict = (...call) => begin(...call).over;
const ask = (what) => ({ request: Buffer.from(JSON.stringify(what)) });
const numbered = (count, size) => Array.from({ length: count }, (_, number) => Buffer.alloc(size, number % 251));

async function fate(name) {
  const begun = Date.now();
  const { call, over } = begin("call", "fate", { request: Buffer.from(name) });
  const told = await over;
  call.cancel();
  return { octets: told.octets, status: told.status, soon: Date.now() - begun < 2000 };
}

// A call of each kind that the app does not end, ended by `end`, and what the app was told of it.
async function held(end, seconds) {
  const one = async ([kind, method]) => {
    const name = crypto.randomUUID();
    const { call, over, heard } = begin(kind, method, { request: Buffer.from("x"), fields: { "call-id": [name] }, seconds });
    if (kind === "sink" || kind === "both") call.write(Buffer.from("x"));
    await verdict("call", "begun", { request: Buffer.from(name) });
    if (kind === "source" || kind === "both") await heard(kind === "both" ? 1 : 2);
    end(call);
    const ended = { kind, ...(await over), app: await fate(name) };
    // "cancelled", and nothing else of this length.
    if (ended.app.octets !== 9 || !ended.app.soon) throw new Error(JSON.stringify(ended));
    return ended;
  };
  return Promise.all([["call", "hold"], ["source", "hold_after_some"], ["sink", "hold_taking"], ["both", "hold_chat"]].map(one));
}

const fields = {
  "initial-text": ["plain"],
  "initial-some-bin": [Buffer.from(Array.from({ length: 256 }, (_, octet) => octet)), Buffer.from([0])],
  "trailing-text": ["one", "two"],
  "trailing-some-bin": [Buffer.from([255, 254])],
};

const cases = {
  node_unary: async () => [
    await verdict("call", "echo", { request: Buffer.from("Grüße"), fields }),
    await verdict("call", "echo", { request: Buffer.alloc(0) }),
    await verdict("call", "echo", { request: Buffer.alloc(1 << 20, 7), compressed: true }),
    await verdict("call", "echo_compressed", { request: Buffer.alloc(1 << 20, 7) }),
    await verdict("call", "echo", { request: Buffer.alloc(16 << 20, 7) }),
  ],
  node_server_streaming: async () => [
    await verdict("source", "many", { ...ask({ count: 1000, size: 1000 }), fields }),
    await verdict("source", "many", ask({ count: 3, size: 10, code: "DATA_LOSS", details: "it ends, 100 %" })),
  ],
  node_client_streaming: async () => [
    await verdict("sink", "collect", { requests: numbered(1000, 1000), fields }),
    await verdict("sink", "early", { requests: [ask({ code: "ABORTED", details: "Grüße,\n世界" }).request, ...numbered(100, 10_000)] }),
  ],
  node_bidirectional: async () => {
    const { call, over, heard } = begin("both", "chat", { fields });
    for (let number = 0; number < 200; number++) {
      call.write(Buffer.alloc(100, number));
      await heard(number + 1);
    }
    call.end();
    return [await over, await verdict("both", "chat", { requests: numbered(2000, 500) })];
  },
  node_statuses: () =>
    Promise.all(Object.keys(grpc.status).filter((name) => isNaN(name) && name !== "OK").map((code) => verdict("call", "fail", ask({ code, details: code })))),
  node_no_such_method: () => verdict("call", "nothing", { request: Buffer.alloc(1) }),
  node_a_hundred_at_once: async () => {
    const request = ask({ name: crypto.randomUUID(), all: 100 });
    const verdicts = await Promise.all(Array.from({ length: 100 }, () => verdict("call", "gather", request)));
    return verdicts.map((each) => [each.status, each.count]);
  },
  node_cancels: () => held((call) => call.cancel(), 15),
  // Whether the client has heard of the answer's head by then is chance.
  node_deadlines: async () => (await held(() => undefined, 2)).map(({ trailing, ...rest }) => rest),
};

async function main() {
  for (const [name, run] of Object.entries(cases)) {
    const said = await run().catch((error) => ({ broken: String(error.stack) }));
    console.log(JSON.stringify([name, said]));
  }
  client.close();
}

main();
