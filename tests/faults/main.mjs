// Breaks real parts under load, and tells what became of the requests: docs/internals/reliability.md has the table.
//
//   npm run faults [-- --host worker|serve|engine] [--only PART_OF_A_NAME] [--seconds N] [--json] [--record]
//
// The Worker runs in workerd and `featheredge serve` in Node, each with an origin in a process of its own, or with a real Feast; `serve` and the npm
// package's engine have a real redis-server. All on loopback; it stops by itself after some fifteen minutes. It fails where any value was another entity's, or a request for what was cached
// is lost. What cannot be broken on this machine is named and left out: a full disk needs the right to mount one, and Feast needs Linux.

import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { connect } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { parseArgs } from "node:util";
import { build } from "../support/build.mjs";
import { grouped, RECORDING, record } from "../support/figures.mjs";
import { installPython, pythonOf } from "../support/python.mjs";
import { fromRoot } from "../support/root.mjs";
import { Failure, main, mustRun, run } from "../support/run.mjs";
import { freePort } from "../support/workerd.mjs";

const ORIGIN_TIMEOUT_MS = 1_000;
/** The disk that is to be full, in MiB: with room for the rows that are stored before it is. */
const DISK_MIB = 16;
/** Between two requests of a caller that hangs up. */
const HANG_UP_PAUSE_MS = 20;
const HOUR_SECONDS = 3_600;
const DISK_IS_FULL = "the disk of KV and of the storage tier is full";

const HOST_NAMES = ["worker", "serve", "engine"];

/** What a fault is tried on: `rows` are added to, and `isWanted` says which hosts and names. */
let lastsMs;
let isWanted;
const rows = [];

const note = (host, fault, told, mayLose = false) =>
	rows.push({ host, fault, ...told, is_kept: told.wrong === 0 && (mayLose || told.lost === 0) });

async function startOrigin() {
	const { startProgram } = await import("../support/program.mjs");
	const port = await freePort();
	const url = `http://127.0.0.1:${port}`;
	let program;
	const start = async () => {
		program = startProgram(process.execPath, [fromRoot("tests/faults/origin.mjs"), String(port)]);
		await program.prints(/listening/);
	};
	await start();
	return {
		url,
		start,
		signal: async (signal) => process.kill(program.pid, signal),
		stop: (signal) => program.stop(signal),
		answers: (mode) => fetch(`${url}/mode`, { method: "PUT", body: mode }),
	};
}

/** Asks a host for one feature of some entities, in Feast's form. */
const asking = (host) => async (ids) => {
	const response = await host.post("/get-online-features", {
		features: ["stats:name"],
		entities: { driver_id: ids },
	});
	const text = await response.text();
	return response.status === 200 ? JSON.parse(text).results[1].values : undefined;
};

const VIEWS = { stats: { join_keys: ["driver_id"], sources: [] } };

/**
 * Runs a fault against a host before the scripted origin. `prepare` gives options of the host.
 *
 * @param {"worker" | "serve"} hostName
 */
async function onHost(hostName, name, faultOf, { mayLose = false, prepare = async () => ({}) } = {}) {
	if (!isWanted(hostName, name)) return;
	const { HOSTS } = await import("../support/hosts.mjs");
	const { underFault } = await import("./load.mjs");
	const origin = await startOrigin();
	const { vars, ...options } = await prepare();
	const host = await HOSTS[hostName]({
		origin,
		...options,
		vars: { views: VIEWS, origin: { timeout_ms: ORIGIN_TIMEOUT_MS }, ...vars },
	});
	try {
		note(hostName, name, await underFault(asking(host), { ...faultOf({ origin, host }), lastsMs }), mayLose);
	} finally {
		await host.stop();
		await origin.stop("SIGKILL");
	}
}

/** Faults of the origin and of callers, which no host is spared. */
async function fromOutside(hostName) {
	await onHost(hostName, "the origin is killed and restarted", ({ origin }) => ({
		begin: () => origin.stop("SIGKILL"),
		end: () => origin.start(),
	}));
	await onHost(hostName, "the origin is stopped (SIGSTOP)", ({ origin }) => ({
		begin: () => origin.signal("SIGSTOP"),
		end: () => origin.signal("SIGCONT"),
	}));
	for (const [what, mode] of [
		["responds byte by byte", "drip"],
		["cuts its responses", "cut"],
		["returns 200 with garbage", "rubbish"],
		["never responds", "hang"],
	]) {
		await onHost(hostName, `the origin ${what}`, ({ origin }) => ({
			begin: () => origin.answers(mode),
			end: () => origin.answers("well"),
		}));
	}
	await onHost(hostName, "clients abort their requests", ({ host }) => hangUp(host.port));
}

/** Faults that the Worker alone can have, or that only it can be made to have from outside. */
async function inWorkerd() {
	const jump = (worker, seconds) =>
		fetch(`${worker.url}/__test/clock`, { method: "PUT", body: String(seconds * 1_000) });
	const prepare = async () => ({ canTrap: true });
	await onHost(
		"worker",
		"the clock jumps an hour ahead, then two back",
		({ host }) => ({ begin: () => jump(host, HOUR_SECONDS), end: () => jump(host, -HOUR_SECONDS) }),
		{ prepare },
	);
	await onHost(
		"worker",
		"the core traps, once",
		({ host }) => ({
			begin: () => fetch(`${host.url}/__test/trap`, { method: "PUT", body: "begin" }),
			end: async () => {},
		}),
		{ mayLose: true, prepare },
	);
	if (isWanted("worker", DISK_IS_FULL)) await onFullDisk();
}

/** Callers who send a request for what is not cached and close the connection, at the latest while the answer comes. */
function hangUp(port) {
	let isOver = false;
	let callers;
	const caller = async (number) => {
		for (let turn = 0; !isOver; turn++) {
			const body = JSON.stringify({ features: ["stats:name"], entities: { driver_id: [-1 - turn * 4 - number] } });
			const socket = connect(port, "127.0.0.1");
			socket.on("error", () => {});
			socket.write(`POST /get-online-features HTTP/1.1\r\nhost: x\r\ncontent-length: ${body.length}\r\n\r\n${body}`);
			await new Promise((resolve) => setTimeout(resolve, turn % 20));
			socket.destroy();
			await new Promise((resolve) => setTimeout(resolve, HANG_UP_PAUSE_MS));
		}
	};
	return {
		begin: async () => {
			callers = [0, 1, 2, 3].map(caller);
		},
		end: async () => {
			isOver = true;
			await Promise.all(callers);
		},
	};
}

/** KV and the storage tier on a small disk of their own, which something else fills. */
async function onFullDisk() {
	const persist = mkdtempSync(join(tmpdir(), "featheredge-disk-"));
	const mounted = await run("mount", ["-t", "tmpfs", "-o", `size=${DISK_MIB}m`, "featheredge", persist], {
		capture: true,
	}).catch((error) => ({ code: 1, output: error.message }));
	if (mounted.code !== 0) return console.error(`left out, a full disk: ${mounted.output.trim()}`);
	const filler = join(persist, "filler");
	await onHost(
		"worker",
		DISK_IS_FULL,
		() => ({
			begin: async () => {
				// In pieces that become smaller, so that not a page is left.
				for (let size = 1 << 20; size >= 1 << 12; ) {
					try {
						writeFileSync(filler, new Uint8Array(size), { flag: "a" });
					} catch {
						size /= 2;
					}
				}
			},
			end: async () => rmSync(filler),
		}),
		{ prepare: async () => ({ persist, vars: { l3: { enabled: true, shards: 1 } } }) },
	);
	await mustRun("umount", ["--lazy", persist]);
	rmSync(persist, { recursive: true, force: true });
}

/** A real Feast behind a host. What must ask it is a read that no tier may answer. */
async function withFeast(hostName) {
	const faults = {
		"Feast is killed and restarted": {
			begin: (feast) => feast.halt("SIGKILL"),
			end: (feast) => feast.restart(),
		},
		"Feast is stopped (SIGSTOP)": {
			begin: async (feast) => feast.signal("SIGSTOP"),
			end: async (feast) => feast.signal("SIGCONT"),
		},
	};
	const wanted = Object.entries(faults).filter(([name]) => isWanted(hostName, name));
	if (wanted.length === 0) return;
	if (process.platform !== "linux") return console.error("left out, Feast: its processes are found by /proc");
	await installPython("feast");
	process.env.FEATHEREDGE_FEAST_PYTHON ??= pythonOf("feast");
	const { startFeast } = await import("../support/feast.mjs");
	const { HOSTS } = await import("../support/hosts.mjs");
	const { underFault } = await import("./load.mjs");
	const feature = "driver_hourly_stats:conv_rate";
	for (const [name, { begin, end }] of wanted) {
		const feast = await startFeast();
		const host = await HOSTS[hostName]({
			origin: feast,
			vars: {
				origin: { timeout_ms: ORIGIN_TIMEOUT_MS },
				views: { driver_hourly_stats: { join_keys: ["driver_id"], sources: [] } },
			},
		});
		try {
			const ids = [1001, 1002, 1003];
			const known = new Map();
			const ask = async (ids, isCold) => {
				const body = {
					entities: { driver_id: ids },
					feature_names: [feature],
					...(isCold && { consistency_level: "strong" }),
				};
				const response = await host.post("/v1/features", body);
				const text = await response.text();
				if (response.status !== 200) return undefined;
				const { features } = JSON.parse(text);
				return ids.map((id) => features[id]?.[feature] ?? null);
			};
			const reply = await fetch(`${feast.url}/get-online-features`, {
				method: "POST",
				headers: { "content-type": "application/json" },
				body: JSON.stringify({ features: [feature], entities: { driver_id: ids } }),
			});
			const { results } = await reply.json();
			for (const [row, value] of results[1].values.entries()) known.set(ids[row], value);
			const world = { warm: [ids, [ids[0]], [ids[2], ids[1]]], cold: () => [ids[1]], valueOf: (id) => known.get(id) };
			const fault = { begin: () => begin(feast), end: () => end(feast), lastsMs };
			note(hostName, name, await underFault(ask, fault, world));
		} finally {
			await host.stop();
			await feast.stop();
		}
	}
}

/** What Redis does while it is broken: a relay before it, or its own process, is told to. */
function faultsOfRedis() {
	const answers =
		(mode) =>
		({ relay }) => ({
			begin: async () => {
				relay.mode = mode;
			},
			end: async () => {
				relay.mode = "well";
			},
		});
	return {
		"Redis is killed and restarted": ({ redis }) => ({
			begin: () => redis.stop("SIGKILL"),
			end: () => redis.start(),
		}),
		"Redis is stopped (SIGSTOP)": ({ redis }) => ({
			begin: async () => redis.signal("SIGSTOP"),
			end: async () => redis.signal("SIGCONT"),
		}),
		"Redis responds byte by byte": answers("drip"),
		"Redis is cut off in the middle of a response": answers("cut"),
		"Redis returns garbage": answers("rubbish"),
	};
}

/** Runs what needs a Redis and a relay before it. */
async function withRedis(run) {
	const { startRedis } = await import("../support/redis.mjs");
	const { startRelay } = await import("./relay.mjs");
	const redis = await startRedis();
	const relay = await startRelay(redis.port);
	try {
		await run({ redis, relay });
	} finally {
		relay.stop();
		await redis.stop();
		redis.remove();
	}
}

async function serveWithRedis() {
	for (const [name, faultOf] of Object.entries(faultsOfRedis())) {
		if (!isWanted("serve", name)) continue;
		await withRedis(({ redis, relay }) =>
			onHost("serve", name, () => faultOf({ redis, relay }), {
				prepare: async () => ({ redis: { port: relay.port, call: redis.call } }),
			}),
		);
	}
}

async function inEngine() {
	const { createEngine } = await import("../../build/package/dist/node.js");
	const { redisStore } = await import("../../build/package/dist/redis.js");
	const { Redis } = await import("ioredis");
	const { underFault } = await import("./load.mjs");
	const faults = {
		...faultsOfRedis(),
		"the engine's clock jumps an hour ahead, then two back": ({ clock }) => ({
			begin: async () => {
				clock.offset = HOUR_SECONDS * 1_000;
			},
			end: async () => {
				clock.offset = -HOUR_SECONDS * 1_000;
			},
		}),
	};
	const origin = (entities, features) => {
		const [keys] = Object.values(entities);
		return Object.fromEntries(features.map((feature) => [feature, keys.map((key) => `${feature} of ${key}`)]));
	};
	for (const [name, faultOf] of Object.entries(faults)) {
		if (!isWanted("engine", name)) continue;
		await withRedis(async ({ redis, relay }) => {
			const client = new Redis({ port: relay.port, host: "127.0.0.1", maxRetriesPerRequest: 1 });
			client.on("error", () => {});
			const clock = { offset: 0 };
			const engine = await createEngine({ origin, l2: redisStore(client), clock: () => Date.now() + clock.offset });
			const ask = async (ids) => {
				const asked = engine.serve({ entities: { driver_id: ids }, feature_names: ["name"] });
				// An error with a status is a refusal, as it is over HTTP.
				const answer = await asked.catch((error) => {
					if (error.status === undefined) throw error;
				});
				return answer && ids.map((id) => answer.features[id]?.name ?? null);
			};
			try {
				note("engine", name, await underFault(ask, { ...faultOf({ redis, relay, clock }), lastsMs }));
			} finally {
				await engine.close();
				client.disconnect();
			}
		});
	}
}

/** A row as docs/internals/reliability.md has it. */
const cellsOf = ({ host, fault, lasted_ms, requests, lost, unserved, wrong, longest_ms, recovery_ms }) => ({
	host,
	fault,
	s: grouped(lasted_ms / 1_000),
	requests: grouped(requests),
	lost: grouped(lost),
	unserved: grouped(unserved),
	wrong: grouped(wrong),
	"longest, ms": grouped(longest_ms),
	"recovered, ms": grouped(recovery_ms),
});

await main(async () => {
	const { values } = parseArgs({
		options: {
			host: { type: "string" },
			json: { type: "boolean" },
			seconds: { type: "string", default: "10" },
			only: { type: "string", default: "" },
			...RECORDING,
		},
	});
	if (values.host !== undefined && !HOST_NAMES.includes(values.host)) {
		throw new Failure(`no host \`${values.host}\`: expected one of ${HOST_NAMES.join(", ")}`);
	}
	if (values.record && (values.host !== undefined || values.only !== ""))
		throw new Failure("`--record` needs all faults: leave out `--host` and `--only`");
	await build("worker", "package");
	lastsMs = Number(values.seconds) * 1_000;
	isWanted = (host, name) => (values.host ?? host) === host && name.includes(values.only);
	await fromOutside("worker");
	await inWorkerd();
	await withFeast("worker");
	await fromOutside("serve");
	await withFeast("serve");
	await serveWithRedis();
	await inEngine();
	if (values.json) console.log(JSON.stringify(rows, null, "\t"));
	else console.table(rows);
	record(values, { faults: rows.map(cellsOf) });
	const broken = rows.filter(({ is_kept }) => !is_kept).map(({ host, fault }) => `${host}: ${fault}`);
	if (broken.length > 0) throw new Failure(`lost or wrong: ${broken.join("; ")}`);
});
