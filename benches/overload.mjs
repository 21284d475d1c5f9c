// A mixed load for long, then five times what can be served for a while, then the first again: what became of the requests, and of memory.
//
// Three of four requests are answered from memory or L2 (KV before the Worker, Redis before `serve`); the others must ask an origin that serves a few calls at one time and no more, so
// that there is a rate which cannot be served. That rate is searched for first: it is the highest at which the SLO
// of docs/guide/monitoring.md is kept: 999 of 1,000 requests are answered whole, and 99 of 100 within 100 ms.

import { fork } from "node:child_process";
import { once } from "node:events";
import { readdirSync, readFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { startProgram } from "../tests/support/program.mjs";
import { startRedis } from "../tests/support/redis.mjs";
import { startServe } from "../tests/support/serve.mjs";
import { freePort } from "../tests/support/workerd.mjs";
import { serveKv } from "./kv-apart.mjs";
import { median } from "./measure.mjs";
import { serveOurs } from "./servers.mjs";

/** The objective `sla.p99_ms` of docs/guide/monitoring.md, in milliseconds. */
export const P99_MS = 100;
export const STEADY_SHARE = 0.8;
export const OVERLOAD = 5;
/** Within how many seconds all is to be as before, and how many such seconds in a row show that it is: one alone may be by chance. */
export const RECOVERY_SECONDS = 5;
const SECONDS_IN_A_ROW = 3;

/** What the origin can do: 160 calls a second, each of which takes 25 ms. */
const ORIGIN_CALLS = 4;
const ORIGIN_MILLIS = 25;
/** As many requests may wait as the origin serves within the SLO; more would be admitted and come too late. */
const MAX_WAITING = 10;
/** The share of all entities that memory has rows for: L2 is read for the others. */
const IN_MEMORY = 0.8;
const WARM_ROWS = 100;
const CONNECTIONS = 512;
const OPERATOR_TOKEN = "of-the-operator";

const url = (name) => fileURLToPath(new URL(name, import.meta.url));
const wait = (millis) => new Promise((resolve) => setTimeout(resolve, millis));

/** The requests that are sent by chance, each as often as its weight says. */
function mix(entities) {
	const features = ["stats:a", "stats:b", "stats:c"];
	const feast = (ids) => JSON.stringify({ features, entities: { driver_id: ids } });
	const range = (count) => Array.from({ length: count }, (_, index) => index);
	const values = (ids) => ids.map((id) => `"a of ${id}"`);
	const requests = [];
	// Of five rows each, of entities that many ask for.
	const groups = Math.floor((entities * IN_MEMORY) / 20);
	for (const first of range(groups)) {
		const ids = range(5).map((row) => first * 5 + row);
		requests.push({ weight: 56 / groups, path: "/get-online-features", body: feast(ids), expected: values(ids) });
	}
	const native = (id, more) => ({
		path: "/v1/features",
		body: JSON.stringify({ entities: { driver_id: [id] }, feature_names: features, ...more }),
		expected: values([id]),
	});
	for (const id of range(entities)) {
		requests.push({ weight: 18 / entities, ...native(id) });
		requests.push({ weight: 25 / entities, ...native(id, { consistency_level: "strong" }) });
	}
	for (const id of range(100)) {
		const body = JSON.stringify({ push_source_name: "drivers", df: { driver_id: [id], a: [1] } });
		requests.push({ weight: 1 / 100, path: "/push", body, expected: ["null"] });
	}
	return requests;
}

/** The processes called `workerd` that this one has started; nothing where there is no /proc. */
function runtimes() {
	try {
		return readdirSync("/proc").filter((name) => {
			if (!/^\d+$/.test(name)) return false;
			const status = statusOf(name);
			return /^Name:\tworkerd$/m.test(status) && Number(/^PPid:\t(\d+)$/m.exec(status)[1]) === process.pid;
		});
	} catch {
		return [];
	}
}

/** What /proc says of a process; no text once it has ended. */
function statusOf(pid) {
	try {
		return readFileSync(`/proc/${pid}/status`, "utf8");
	} catch {
		return "";
	}
}

/** The resident memory of a process, in bytes; nothing where that cannot be seen. */
function residentBytes(pid) {
	const [, kilobytes] = /^VmRSS:\s+(\d+) kB$/m.exec(statusOf(pid)) ?? [];
	return kilobytes && Number(kilobytes) * 1_024;
}

/**
 * A host under load, with its L2 in another process.
 *
 * @typedef {object} LoadedHost
 * @property {string} url
 * @property {number} port
 * @property {number} [pid] of its process, where that is known
 * @property {() => Promise<number | undefined>} wasmBytes what its wasm instances have, where it tells
 * @property {() => Promise<void>} stop
 */

/** The Worker on workerd. @returns {Promise<LoadedHost>} */
async function startWorker(origin, vars) {
	const kv = await serveKv();
	try {
		const others = runtimes();
		const entry = { name: "memory-entry.mjs", contents: readFileSync(url("memory-entry.mjs"), "utf8") };
		const secrets = { FEATHEREDGE_OPERATOR_TOKEN: OPERATOR_TOKEN };
		const worker = await serveOurs(origin, vars, entry, secrets, { KV_APART: kv.address });
		return {
			...worker,
			pid: runtimes().find((pid) => !others.includes(pid)),
			wasmBytes: () =>
				fetch(`${worker.url}/__load/memory`)
					.then((response) => response.json())
					.catch(() => undefined),
			async stop() {
				await worker.stop();
				await kv.stop();
			},
		};
	} catch (error) {
		await kv.stop();
		throw error;
	}
}

/** `featheredge serve`. @returns {Promise<LoadedHost>} */
async function startCli(origin, vars) {
	const redis = await startRedis();
	const remove = async () => {
		await redis.stop();
		redis.remove();
	};
	try {
		const server = await startServe({ origin, vars, operatorToken: OPERATOR_TOKEN, redis });
		return {
			...server,
			pid: server.program.pid,
			wasmBytes: async () => undefined,
			async stop() {
				await server.stop();
				await remove();
			},
		};
	} catch (error) {
		await remove();
		throw error;
	}
}

/** What can be loaded, by its name. */
export const LOADED_HOSTS = { worker: startWorker, serve: startCli };

/** Notes once a second how much memory a host and its process have, until it is told to stop. @param {LoadedHost} host */
function watchMemory(host) {
	const began = performance.now();
	const samples = [];
	let isOver = false;
	const done = (async () => {
		while (!isOver) {
			const wasm = await host.wasmBytes();
			samples.push({
				second: (performance.now() - began) / 1_000,
				resident_bytes: residentBytes(host.pid),
				wasm_bytes: wasm,
			});
			await wait(1_000);
		}
	})();
	return {
		samples,
		seconds: () => (performance.now() - began) / 1_000,
		async stop() {
			isOver = true;
			await done;
		},
	};
}

/** The share that may be without an answer: that of the SLO, and of one second, in which one request is more than that. */
const UNANSWERED = 0.001;
const UNANSWERED_IN_A_SECOND = 0.01;

/** Whether requests were answered whole and in time, by the SLO. */
function isNormal({ served, partial, shed, failed, wrong, unsent, p99 }, unanswered = UNANSWERED) {
	const isAnswered = partial + shed <= (served + partial + shed) * unanswered;
	return failed + wrong + unsent === 0 && isAnswered && p99 <= P99_MS;
}

/** The highest rate that is served within the SLO: found by doubling, and then by halving what is left. */
async function findMaximum(send, { first, stepSeconds, steps }) {
	const tried = [];
	const isServed = async (rate) => {
		const { total } = await send(rate, stepSeconds);
		tried.push({ rate, ...total });
		return isNormal(total);
	};
	let good = 0;
	let bad = first;
	while (await isServed(bad)) {
		good = bad;
		bad *= 2;
	}
	for (let step = 0; step < steps; step++) {
		const middle = Math.round((good + bad) / 2);
		if (await isServed(middle)) good = middle;
		else bad = middle;
	}
	return { maximum: good, tried };
}

/**
 * @param {object} options
 * @param {keyof typeof LOADED_HOSTS} options.host
 * @param {number} options.steadySeconds
 * @param {number} options.overloadSeconds
 * @param {number} options.afterSeconds
 * @param {number} [options.settleSeconds] for how long there is too much before anything is measured, and then as much as is measured first
 * @param {number} options.stepSeconds how long each rate is tried that may be the maximum
 * @param {number} options.steps how often the range where it is is halved
 * @param {number} [options.entities] more are asked for than memory holds, so that KV is read too
 * @param {number} [options.rate] in place of a maximum that is measured
 */
export async function measureLoad(options) {
	const {
		host: hostName,
		steadySeconds,
		overloadSeconds,
		afterSeconds,
		stepSeconds,
		steps,
		settleSeconds = 0,
		entities = 3_000,
		rate,
	} = options;
	const port = await freePort();
	const origin = startProgram(process.execPath, [
		url("slow-origin.mjs"),
		...[port, ORIGIN_CALLS, ORIGIN_MILLIS].map(String),
	]);
	await origin.prints(/listening/);
	const generator = fork(url("open-loop.mjs"));
	let host;
	try {
		const vars = {
			views: { stats: { join_keys: ["driver_id"], sources: [] } },
			push_sources: { drivers: ["stats"] },
			l1: { max_entries: entities * IN_MEMORY },
			// Rows last for longer than the run, and time of its own changes nothing in what is asked of the origin.
			freshness: { ttl_seconds: 86_400, early_refresh_percent: 0 },
			load: { max_pending_requests: MAX_WAITING },
			auth: { anonymous_scopes: ["read", "write"] },
		};
		host = await LOADED_HOSTS[hostName]({ url: `http://127.0.0.1:${port}` }, vars);
		await warm(host, entities);
		const requests = mix(entities);
		const examples = [];
		const send = async (rate, seconds) => {
			generator.send({ port: host.port, requests, rate, seconds, connections: CONNECTIONS });
			const [told] = await once(generator, "message");
			examples.push(...told.examples);
			return told;
		};
		// What is compiled when it is hot, and the memory that it takes, is there before anything is measured.
		await send(100, stepSeconds);
		const { maximum, tried } =
			rate === undefined ? await findMaximum(send, { first: 200, stepSeconds, steps }) : { maximum: rate, tried: [] };
		// V8 and workerd keep what they needed under the heaviest load, and reach that within a minute of it, or in many of less. What the
		// process has more after that is growth.
		if (settleSeconds > 0) {
			for (const share of [OVERLOAD, STEADY_SHARE]) await send(Math.round(maximum * share), settleSeconds);
		}
		const memory = watchMemory(host);
		const phases = [];
		for (const [name, share, seconds] of [
			["steady", STEADY_SHARE, steadySeconds],
			["overload", OVERLOAD, overloadSeconds],
			["after", STEADY_SHARE, afterSeconds],
		]) {
			const from = memory.seconds();
			const told = await send(Math.round(maximum * share), seconds);
			phases.push({ name, rate: Math.round(maximum * share), from, seconds, ...told });
		}
		await memory.stop();
		return {
			host: hostName,
			maximum,
			tried,
			phases,
			memory: memory.samples,
			examples,
			...verdict(phases, memory.samples),
		};
	} finally {
		generator.disconnect();
		await host?.stop();
		await origin.stop("SIGKILL");
	}
}

async function warm(host, entities) {
	for (let first = 0; first < entities; first += WARM_ROWS) {
		const ids = Array.from({ length: WARM_ROWS }, (_, row) => first + row);
		const reply = await fetch(`${host.url}/v1/warm`, {
			method: "POST",
			headers: { "content-type": "application/json", authorization: `Bearer ${OPERATOR_TOKEN}` },
			body: JSON.stringify({ feature_names: ["stats:a", "stats:b", "stats:c"], entities: { driver_id: ids } }),
		});
		const { failed, remaining } = await reply.json();
		if (failed !== 0 || remaining !== 0) throw new Error(`${failed + remaining} rows could not be warmed`);
	}
}

/** The shares of a run's time between which memory is compared: behind the start, and at the end. */
const EARLY = [0.2, 0.4];
const LATE = [0.8, 1];
/** By how much memory may have grown between them, in bytes, before it counts as growing: workerd gives it back late, and in large pieces. */
const GROWTH_BYTES = 16 * 1_048_576;

/** Whether the figures meet the requirements. */
function verdict([steady, overload, after], memory) {
	const isUsual = after.seconds.map((second) => isNormal(second, UNANSWERED_IN_A_SECOND));
	const row = (_, at) =>
		at + SECONDS_IN_A_ROW <= isUsual.length && isUsual.slice(at, at + SECONDS_IN_A_ROW).every(Boolean);
	const found = isUsual.findIndex(row);
	const recovery = found < 0 ? isUsual.length : found;
	const during = memory.filter(({ second }) => second >= steady.from && second < overload.from);
	/** Where it cannot be looked at, it does not grow. */
	const grown = (figure) => {
		const [early, late] = [EARLY, LATE].map(([from, to]) => {
			const part = during.slice(Math.floor(during.length * from), Math.ceil(during.length * to));
			return median(part.map((sample) => sample[figure] ?? 0));
		});
		return late - early;
	};
	const requirements = {
		"at 80 % requests are served whole and in time, by the SLO": isNormal(steady.total),
		"past the maximum nothing fails and nothing is wrong: what is not served is shed, with a time to come back":
			overload.total.failed + overload.total.wrong + overload.total.unsent === 0 && overload.total.shed > 0,
		"past the maximum what is admitted is answered within the SLO": overload.total.p99 <= P99_MS,
		"all is as before within five seconds": recovery <= RECOVERY_SECONDS,
		"memory does not grow": Math.max(grown("resident_bytes"), grown("wasm_bytes")) <= GROWTH_BYTES,
	};
	return {
		recovery_seconds: recovery,
		grown_bytes: { resident: grown("resident_bytes"), wasm: grown("wasm_bytes") },
		requirements,
	};
}
