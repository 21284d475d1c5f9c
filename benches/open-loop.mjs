// Sends requests at a rate, whether or not earlier ones were answered, from a process of its own, and tells each second how it went.
//
// A request's time counts from when it was to begin, so that one which waited for its turn has waited (what closed loops leave out). It knows
// nothing of what is asked but how to tell a good answer. Bounded: so many connections, so many requests that wait for one, so many seconds.

import { connect } from "node:net";

/** How long a connection may be silent before its request counts as lost, in milliseconds: longer than any deadline. */
const SILENCE_MS = 10_000;
/** How long a connection may rest before it is not used again, in milliseconds: workerd closes those that rest for five seconds. */
const REST_MS = 2_000;
/** The most requests that wait for a connection; past it they count as not sent. */
const MAX_WAITING = 20_000;

const HEAD_END = Buffer.from("\r\n\r\n");
const LAST_CHUNK = Buffer.from("0\r\n\r\n");
const INVALID = Buffer.from('"INVALID"');

/** What became of a request: `served` whole; `partial`, which says of each value whether it is there; `shed` with a time to come back. */
const KINDS = ["served", "partial", "shed", "failed", "wrong"];

const newSecond = () => ({ ...Object.fromEntries(KINDS.map((kind) => [kind, 0])), unsent: 0, latencies: [] });

/** What an answer is; `expected` are texts that stand in it if it is right. */
function kindOf(head, body, expected) {
	const status = Number(head.slice(9, 12));
	if (status === 429 || status === 503) return /\r\nretry-after: \d/i.test(head) ? "shed" : "failed";
	if (status !== 200) return "failed";
	if (body.includes(INVALID)) return "partial";
	return expected.every((text) => body.includes(text)) ? "served" : "wrong";
}

class Client {
	#port;
	#idle = [];
	#waiting = [];
	#left;
	/** @type {Map<number, ReturnType<typeof newSecond>>} */
	seconds = new Map();
	underWay = 0;
	/** Of the first ones that went wrong, the answers. */
	examples = [];

	constructor(port, connections) {
		this.#port = port;
		this.#left = connections;
	}

	#second(at) {
		const number = Math.floor(at / 1_000);
		if (!this.seconds.has(number)) this.seconds.set(number, newSecond());
		return this.seconds.get(number);
	}

	/** Sends a request that was to begin at `due`, by a clock whose zero is the run's. */
	send(request, due, clock) {
		this.underWay += 1;
		const job = { request, due, clock };
		const socket = this.#rested() ?? this.#open();
		if (socket !== undefined) return this.#on(socket, job);
		if (this.#waiting.length < MAX_WAITING) return this.#waiting.push(job);
		this.underWay -= 1;
		this.#second(due).unsent += 1;
	}

	/** The connection that was used last, if it may still be used. */
	#rested() {
		const socket = this.#idle.pop();
		if (socket === undefined || performance.now() - socket.restsSince < REST_MS) return socket;
		// Those beneath it have rested for longer.
		for (const other of [socket, ...this.#idle.splice(0)]) other.destroy();
		return undefined;
	}

	#rest(socket) {
		socket.restsSince = performance.now();
		this.#idle.push(socket);
	}

	#open() {
		if (this.#left === 0) return undefined;
		this.#left -= 1;
		const socket = connect(this.#port, "127.0.0.1");
		socket.setNoDelay(true);
		socket.setTimeout(SILENCE_MS, () => socket.destroy());
		socket.on("data", (chunk) => this.#take(socket, chunk));
		socket.on("error", () => {});
		socket.on("close", () => {
			this.#left += 1;
			this.#idle = this.#idle.filter((other) => other !== socket);
			if (socket.job !== undefined) this.#end(socket, "failed", "the connection was closed");
		});
		return socket;
	}

	#on(socket, job) {
		socket.job = job;
		socket.parts = [];
		socket.write(job.request.bytes);
	}

	#take(socket, chunk) {
		if (socket.job === undefined) return;
		socket.parts.push(chunk);
		const bytes = socket.parts.length === 1 ? chunk : Buffer.concat(socket.parts);
		socket.parts = [bytes];
		const at = bytes.indexOf(HEAD_END);
		if (at < 0) return;
		const head = bytes.latin1Slice(0, at);
		const body = bytes.subarray(at + HEAD_END.length);
		const length = /\r\ncontent-length: (\d+)/i.exec(head)?.[1];
		const isWhole =
			length === undefined ? body.subarray(-LAST_CHUNK.length).equals(LAST_CHUNK) : body.length >= Number(length);
		if (!isWhole) return;
		const kind = kindOf(head, body, socket.job.request.expected);
		this.#end(socket, kind, `${head}\n${body.toString("utf8", 0, 300)}`);
		const next = this.#waiting.shift();
		if (next === undefined) this.#rest(socket);
		else this.#on(socket, next);
	}

	#end(socket, kind, text) {
		const { due, clock } = socket.job;
		socket.job = undefined;
		this.underWay -= 1;
		const second = this.#second(due);
		second[kind] += 1;
		if (kind === "served" || kind === "partial") second.latencies.push(clock() - due);
		if ((kind === "failed" || kind === "wrong") && this.examples.length < 3) this.examples.push(text);
	}

	close() {
		for (const socket of this.#idle) socket.destroy();
	}
}

/** What is known of a second once all that began in it has ended. */
function summary({ latencies, ...counts }) {
	latencies.sort((left, right) => left - right);
	const percentile = (share) => latencies[Math.min(latencies.length - 1, Math.floor(latencies.length * share))] ?? 0;
	return {
		...counts,
		p50: percentile(0.5),
		p95: percentile(0.95),
		p99: percentile(0.99),
		longest: latencies.at(-1) ?? 0,
	};
}

/**
 * @param {object} order
 * @param {number} order.port
 * @param {{ weight: number, path: string, body: string, headers?: string, expected: string[] }[]} order.requests
 * @param {number} order.rate requests a second, whose gaps are exponential
 * @param {number} order.seconds
 * @param {number} order.connections
 */
async function run({ port, requests, rate, seconds, connections }) {
	const client = new Client(port, connections);
	const ready = requests.map(({ weight, path, body, headers = "", expected }) => {
		const head = `POST ${path} HTTP/1.1\r\nhost: 127.0.0.1:${port}\r\ncontent-type: application/json\r\n${headers}`;
		const bytes = Buffer.from(`${head}content-length: ${Buffer.byteLength(body)}\r\n\r\n${body}`);
		return { weight, bytes, expected };
	});
	let total = 0;
	const ends = ready.map(({ weight }) => {
		total += weight;
		return total;
	});
	/** The first whose end is past a number drawn by chance: found by halving, since there are thousands and each millisecond counts. */
	const pick = () => {
		const drawn = Math.random() * total;
		let from = 0;
		let to = ready.length - 1;
		while (from < to) {
			const middle = (from + to) >> 1;
			if (ends[middle] > drawn) to = middle;
			else from = middle + 1;
		}
		return ready[from];
	};
	const began = performance.now();
	const clock = () => performance.now() - began;
	const gap = () => (-Math.log(1 - Math.random()) * 1_000) / rate;
	let due = gap();
	while (due < seconds * 1_000) {
		for (const now = clock(); due <= now && due < seconds * 1_000; due += gap()) client.send(pick(), due, clock);
		await new Promise((resolve) => setTimeout(resolve, 1));
	}
	const patience = clock() + SILENCE_MS + 1_000;
	while (client.underWay > 0 && clock() < patience) await new Promise((resolve) => setTimeout(resolve, 10));
	client.close();
	const all = newSecond();
	for (const second of client.seconds.values()) {
		for (const [name, value] of Object.entries(second)) {
			if (name === "latencies") for (const latency of value) all.latencies.push(latency);
			else all[name] += value;
		}
	}
	all.failed += client.underWay;
	return {
		total: summary(all),
		seconds: Array.from({ length: seconds }, (_, number) => summary(client.seconds.get(number) ?? newSecond())),
		examples: client.examples,
	};
}

process.on("message", async (order) => process.send(await run(order)));
