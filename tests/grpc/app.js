// The app of app.py once more, with Node's @grpc/grpc-js, as far as its calls go: node app.js. Prints its URL.
"use strict";

const crypto = require("node:crypto");
const { EventEmitter, once } = require("node:events");
const grpc = require("@grpc/grpc-js");

const begun = new Set();
const fates = new Map();
const told = new EventEmitter();
const gathered = new Map();
const sent = new Map();

function piece(number, size) {
  const head = Buffer.alloc(8);
  head.writeBigUInt64BE(BigInt(number));
  const length = Math.max(0, size - 8);
  return length === 0 ? head : Buffer.concat([head, crypto.createHash("shake128", { outputLength: length }).update(head).digest()]);
}

class Digest {
  count = 0;
  octets = 0;
  sum = crypto.createHash("sha256");

  take(message) {
    const length = Buffer.alloc(8);
    length.writeBigUInt64BE(BigInt(message.length));
    this.count += 1;
    this.octets += message.length;
    this.sum.update(length).update(message);
  }

  done() {
    return Buffer.from(JSON.stringify({ count: this.count, octets: this.octets, sha256: this.sum.digest("hex").slice(0, 16) }));
  }
}

// Gives metadata back: initial-… in front of the answer, trailing-… behind it.
function opening(call) {
  const initial = new grpc.Metadata();
  const trailing = new grpc.Metadata();
  let some = false;
  for (const name of Object.keys(call.metadata.getMap())) {
    const into = name.startsWith("initial-") ? initial : name.startsWith("trailing-") ? trailing : undefined;
    some ||= into === initial;
    call.metadata.get(name).forEach((value) => into?.add(name, value));
  }
  if (some) call.sendMetadata(initial);
  return trailing;
}

function watch(call) {
  const name = String(call.metadata.get("call-id")[0] ?? "");
  call.on("cancelled", () => {
    fates.set(name, "cancelled");
    told.emit("news");
  });
  begun.add(name);
  told.emit("news");
}

// Whether it holds within five seconds.
async function until(holds) {
  const late = AbortSignal.timeout(5000);
  while (!holds()) {
    if (!(await once(told, "news", { signal: late }).catch(() => undefined))) return false;
  }
  return true;
}

// Until more can be written, or nobody wants it.
async function room(call) {
  const over = new AbortController();
  const any = ["drain", "cancelled"].map((event) => once(call, event, { signal: over.signal }).catch(() => undefined));
  await Promise.race(any);
  over.abort();
}

const wanted = (request) => JSON.parse(request.toString());
const status = (ask, metadata) => ({ code: grpc.status[ask.code], details: ask.details ?? "", metadata });

const unary = {
  echo: (call, answer) => answer(null, call.request, opening(call)),
  fail: (call, answer) => answer(status(wanted(call.request), opening(call))),
  hold: (call) => watch(call),
  sent: (call, answer) => answer(null, Buffer.from(String(sent.get(call.request.toString()) ?? 0))),
  begun: async (call, answer) => answer(null, Buffer.from((await until(() => begun.has(call.request.toString()))) ? "yes" : "no")),
  fate: async (call, answer) => {
    const name = call.request.toString();
    await until(() => fates.has(name));
    answer(null, Buffer.from(fates.get(name) ?? "none"));
  },
  seen: (call, answer) => {
    const metadata = [];
    for (const name of Object.keys(call.metadata.getMap()).sort()) {
      for (const value of call.metadata.get(name)) metadata.push([name, Buffer.isBuffer(value) ? value.toString("hex") : value]);
    }
    const deadline = call.getDeadline();
    const left = Number.isFinite(Number(deadline)) ? (Number(deadline) - Date.now()) / 1000 : null;
    answer(null, Buffer.from(JSON.stringify({ metadata, left, host: call.getHost() })));
  },
  gather: (call, answer) => {
    const { name, all } = wanted(call.request);
    const list = gathered.get(name) ?? [];
    gathered.set(name, list);
    list.push(() => answer(null, call.request));
    if (list.length >= all) list.forEach((each) => each());
  },
};

const source = {
  many: async (call) => {
    const metadata = opening(call);
    const ask = wanted(call.request);
    const name = String(call.metadata.get("call-id")[0] ?? "");
    for (let number = 0; number < ask.count && !call.cancelled; number++) {
      sent.set(name, number);
      if (!call.write(piece(number, ask.size))) await room(call);
    }
    if (ask.code) call.emit("error", status(ask, metadata));
    else call.end(metadata);
  },
  hold_after_some: (call) => {
    watch(call);
    call.write(call.request);
    call.write(call.request);
  },
};

const sink = {
  collect: (call, answer) => {
    const metadata = opening(call);
    const digest = new Digest();
    call.on("data", (message) => digest.take(message));
    call.on("end", () => answer(null, digest.done(), metadata));
  },
  early: (call, answer) => {
    call.once("data", (first) => {
      const ask = wanted(first);
      if (ask.code === "OK") answer(null, Buffer.from("enough"));
      else answer(status(ask));
    });
  },
  hold_taking: (call) => {
    watch(call);
    call.resume();
  },
  // It takes nothing.
  unread: (call) => watch(call),
};

const both = {
  chat: (call) => {
    const metadata = opening(call);
    call.on("data", (message) => call.write(message));
    call.on("end", () => call.end(metadata));
  },
  free: (call) => {
    const digest = new Digest();
    let ended;
    const all = new Promise((done) => (ended = done));
    call.on("end", ended);
    call.once("data", async (first) => {
      call.on("data", (message) => digest.take(message));
      const ask = wanted(first);
      for (let number = 0; number < ask.count; number++) {
        if (!call.write(piece(number, ask.size))) await room(call);
      }
      await all;
      call.write(digest.done());
      call.end();
    });
  },
  early_chat: (call) => {
    call.once("data", (first) => {
      const ask = wanted(first);
      if (ask.code !== "OK") return call.emit("error", status(ask));
      call.write(Buffer.from("enough"));
      call.end();
    });
  },
  hold_chat: (call) => {
    watch(call);
    call.on("data", (message) => call.write(message));
  },
};

const same = (octets) => octets;
const plain = { requestSerialize: same, requestDeserialize: same, responseSerialize: same, responseDeserialize: same };
const definition = {};
for (const [methods, requestStream, responseStream] of [
  [unary, false, false],
  [source, false, true],
  [sink, true, false],
  [both, true, true],
]) {
  for (const name of Object.keys(methods)) definition[name] = { path: `/test.App/${name}`, requestStream, responseStream, ...plain };
}

const server = new grpc.Server({ "grpc.max_receive_message_length": -1 });
server.addService(definition, { ...unary, ...source, ...sink, ...both });
server.bindAsync("127.0.0.1:0", grpc.ServerCredentials.createInsecure(), (error, port) => {
  if (error) throw error;
  console.log(`http://127.0.0.1:${port}`);
});
