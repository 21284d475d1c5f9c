// Requests of somebody who wants the memory to be full, against the module itself: what WebAssembly.Memory has grown to is what the core
// really takes, fragmentation included. It is run as a process of its own: `node adversary.mjs REQUESTS` prints what it found as JSON.

import { readFileSync } from "node:fs";
import { Core, CoreState, initSync } from "../../build/npm/featheredge.js";
import { FEAST } from "../support/features.mjs";

const { memory } = initSync({
	module: readFileSync(new URL("../../build/npm/featheredge.wasm", import.meta.url)),
});
const memoryBytes = () => memory.buffer.byteLength;

const MIB = 1_048_576;
const CONFIG = {
	// Half of all that is usual, so that every bound is met soon.
	memory: { max_bytes: 48 * MIB, plan_bytes: 4 * MIB, pending_bytes: 12 * MIB },
	l1: { max_bytes: 24 * MIB },
	prefetch: { memory_bytes: MIB },
	origin: { kind: "http", url: "http://origin.example" },
	views: { keyed: { join_keys: ["id"] }, other: { join_keys: ["id"] } },
};

/** A generator of numbers that a seed repeats: SplitMix32. */
function generator(seed) {
	let state = seed;
	return (bound) => {
		state = (state + 0x9e3779b9) | 0;
		let mixed = Math.imul(state ^ (state >>> 16), 0x21f0aaad);
		mixed = Math.imul(mixed ^ (mixed >>> 15), 0x735a2d97);
		return ((mixed ^ (mixed >>> 15)) >>> 0) % bound;
	};
}

const range = (count, of) => Array.from({ length: count }, (_, at) => of(at));
const NATIVE = "/v1/features";

/** What each kind of request asks, by its number and a source of chance. */
const KINDS = [
	// Many features with names that are as long as a body allows.
	(round) => ({
		path: NATIVE,
		body: { entities: { id: [round] }, feature_names: range(1_000, (at) => `keyed:${round}_${at}_${"n".repeat(900)}`) },
		weight: 10,
	}),
	// Ever other features of one row.
	(round) => ({
		path: NATIVE,
		body: { entities: { id: [1] }, feature_names: range(20, (at) => `other:${round}_${at}_${"n".repeat(50)}`) },
	}),
	// Ever new views.
	(round) => ({
		path: NATIVE,
		body: { entities: { id: [round] }, feature_names: range(10, (at) => `v${round}_${at}_${"n".repeat(100)}:f`) },
	}),
	// Many ids, line by line, for readers who do not read.
	(round, below) => ({
		path: NATIVE,
		lines: true,
		body: {
			entities: { id: range(2_000 + below(6_000), (at) => round * 10_000 + at) },
			feature_names: ["keyed:f0", "keyed:f1"],
		},
		weight: 20,
	}),
	// The same ids in other spellings.
	(round, below) => ({
		path: FEAST,
		text: `{"features":["keyed:f0"],"entities":{"id":[${range(50, (at) => `${at}.${"0".repeat(1 + below(40))}`)}]}}`,
		round,
	}),
	// Long keys.
	(round) => ({
		path: FEAST,
		body: { features: ["keyed:f0"], entities: { id: range(20, (at) => `${round}_${at}_${"n".repeat(3_500)}`) } },
	}),
	// Feature services and entity columns that are ever new.
	(round) => ({
		path: FEAST,
		body: { feature_service: `s${round}${"n".repeat(1_000)}`, entities: { [`c${round}${"n".repeat(300)}`]: [1, 2] } },
	}),
	// Ever new sessions.
	(round, below) => ({
		path: FEAST,
		session: `session ${round}`,
		body: { features: [`keyed:f${round % 50}`], entities: { id: [below(1_000)] } },
	}),
	// Writes of many rows to ever new views.
	(round, below) => ({
		path: "/write-to-online-store",
		body: {
			feature_view_name: below(2) ? "keyed" : `w${round}${"n".repeat(500)}`,
			df: { id: range(below(500), (at) => at + round) },
		},
	}),
	// Low priority, many cells.
	(round) => ({
		path: NATIVE,
		body: {
			entities: { id: range(100, (at) => round * 1_000 + at) },
			feature_names: range(20, (at) => `keyed:f${at}`),
			priority: "low",
		},
	}),
];

/** What a Feast of fewer scopes would answer: for each reference and each id a number. */
function answer(text) {
	const { entities, features = [], feature_service } = JSON.parse(text);
	const [[column, ids]] = Object.entries(entities);
	const of = (values) => ({
		values,
		statuses: ids.map(() => "PRESENT"),
		event_timestamps: ids.map(() => "2026-11-23T08:00:00Z"),
	});
	const names = feature_service ? ["a", "b"] : features.map((reference) => reference.slice(reference.indexOf(":") + 1));
	const isFull = JSON.parse(text).full_feature_names;
	const full = isFull ? features.map((reference) => reference.replace(":", "__")) : names;
	return JSON.stringify({
		results: [of(ids), ...names.map((_, at) => of(ids.map(() => at + 0.25)))],
		metadata: { feature_names: [column, ...full] },
	});
}

class Host {
	#core = new Core(CONFIG, 7n, undefined, false);
	/** What is to be told, by the millisecond. */
	#due = new Map();
	now = 1_795_420_800_000;
	statuses = {};

	begin({ path, body, text, lines = false, session }) {
		const bytes = Buffer.from(text ?? JSON.stringify(body));
		const at = this.#core.input(bytes.length);
		new Uint8Array(memory.buffer).set(bytes, at);
		const now = this.now;
		this.#take(this.#core.begin("POST", path, "", bytes.length, false, true, lines, "", "", session, now));
	}

	#take(state) {
		const request = this.#core.request();
		if (state === CoreState.Replied || state === CoreState.RepliedWithEffects) {
			const status = this.#core.reply_status();
			this.statuses[status] = (this.statuses[status] ?? 0) + 1;
		}
		if (this.#core.take_chunk() && state !== CoreState.Streamed) {
			// One reader in three reads; the others wait for a minute.
			const reads = request % 3 === 0;
			this.#plan(reads ? 1 : 60_000, { request });
		}
		for (const woken of this.#core.take_woken()) this.#plan(1, { woken });
		for (const effect of this.#core.take_effects()) {
			const { kind, number, timeout } = effect;
			const isCall = kind === "fetch" || kind === "synthesize";
			const millis = kind === "read" || kind === "write" ? 3 : isCall ? 20 + (number % 80) : timeout;
			this.#plan(Math.max(1, Math.min(millis, timeout || 1)), { effect });
		}
	}

	pass(millis) {
		for (let left = millis; left > 0; left--) this.#tick();
	}

	#plan(millis, told) {
		const at = this.now + millis;
		const known = this.#due.get(at);
		if (known) known.push(told);
		else this.#due.set(at, [told]);
	}

	#tick() {
		this.now += 1;
		const now = this.now;
		const due = this.#due.get(now) ?? [];
		this.#due.delete(now);
		for (const { effect, request, woken } of due) {
			if (request) this.#take(this.#core.resume(request, now));
			else if (woken) this.#take(this.#core.wake(woken, now));
			else this.#take(this.#complete(effect, now));
		}
	}

	#complete({ kind, number, body }, now) {
		switch (kind) {
			case "fetch":
			case "synthesize":
				return this.#core.complete_fetch(
					number,
					200,
					"application/json",
					Buffer.from(answer(Buffer.from(body).toString())),
					now,
				);
			case "write":
				return this.#core.complete_write(number, 0, 0, undefined, false, now);
			case "read":
				return this.#core.fail_read(number, false, now);
			case "forward":
				return this.#core.complete_forward(number, 200, now);
			case "ingest":
				this.#core.ingest_telemetry(now, 0);
		}
		return this.#core.complete_wait(number, now);
	}
}

const requests = Number(process.argv[2]);
const below = generator(11);
const host = new Host();
// The bigger kinds come less often, or they would take all of the time.
const kinds = KINDS.flatMap((kind) => Array(Math.ceil(40 / (kind(0, below).weight ?? 1))).fill(kind));
const before = memoryBytes();
let after = 0;
for (let round = 0; round < requests; round++) {
	host.begin(kinds[below(kinds.length)](round, below));
	host.pass(below(20));
	if (round === Math.floor(requests / 2)) after = memoryBytes();
}
process.stdout.write(
	JSON.stringify({ before, half: after, bytes: memoryBytes(), max: CONFIG.memory.max_bytes, statuses: host.statuses }),
);
