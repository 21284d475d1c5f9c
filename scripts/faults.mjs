// Breaks real parts under load, and tells what became of the requests: docs/reliability.md has the table.
//
//   npm run faults [-- --json] [--only PART_OF_A_NAME]
//
// The Worker runs in workerd with an origin in a process of its own, and the npm package in Node with a real redis-server. All on loopback; it
// stops by itself after some two minutes. It fails where any value was another entity's, or a request for what was cached is lost.

import { parseArgs } from "node:util";
import { buildNpm, buildPackage, buildWorker } from "./build.mjs";
import { fromRoot } from "./lib/root.mjs";
import { Failure, main } from "./lib/run.mjs";
import { freePort } from "./lib/workerd.mjs";

const LASTS_MS = 3_000;
const ORIGIN_TIMEOUT_MS = 1_000;

async function startOrigin() {
	const { startProgram } = await import("../tests/harness/program.mjs");
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

async function inWorkerd(isWanted) {
	const { startWorker } = await import("../tests/harness/worker.mjs");
	const { underFault } = await import("../tests/faults/load.mjs");
	const rows = [];
	const faults = (origin, worker) => ({
		"the origin is killed and started again": { begin: () => origin.stop("SIGKILL"), end: () => origin.start() },
		"the origin stands still (SIGSTOP)": { begin: () => origin.signal("SIGSTOP"), end: () => origin.signal("SIGCONT") },
		"the origin answers byte by byte": { begin: () => origin.answers("drip"), end: () => origin.answers("well") },
		"the origin cuts its answers": { begin: () => origin.answers("cut"), end: () => origin.answers("well") },
		"the origin answers 200 with rubbish": {
			begin: () => origin.answers("rubbish"),
			end: () => origin.answers("well"),
		},
		"the origin never answers": { begin: () => origin.answers("hang"), end: () => origin.answers("well") },
		"the core traps, once": {
			mayLose: true,
			begin: () => fetch(`${worker.url}/__test/trap`, { method: "PUT", body: "begin" }),
			end: async () => {},
		},
	});
	for (const name of Object.keys(faults())) {
		if (!isWanted(name)) continue;
		const origin = await startOrigin();
		const worker = await startWorker({ origin, canTrap: true, vars: { origin: { timeout_ms: ORIGIN_TIMEOUT_MS } } });
		const ask = async (ids) => {
			const response = await worker.post("/get-online-features", {
				features: ["stats:name"],
				entities: { driver_id: ids },
			});
			const text = await response.text();
			if (response.status !== 200) return undefined;
			return JSON.parse(text).results[1].values;
		};
		const { mayLose = false, ...fault } = faults(origin, worker)[name];
		const told = await underFault(ask, { ...fault, lastsMs: LASTS_MS });
		rows.push({ host: "workerd", fault: name, ...told, is_kept: told.wrong === 0 && (mayLose || told.lost === 0) });
		await worker.stop();
		await origin.stop("SIGKILL");
	}
	return rows;
}

async function inNode(isWanted) {
	const { createEngine } = await import("../build/package/dist/node.js");
	const { redisStore } = await import("../build/package/dist/redis.js");
	const { Redis } = await import("ioredis");
	const { startRedis } = await import("../tests/npm/redis.mjs");
	const { underFault } = await import("../tests/faults/load.mjs");
	const rows = [];
	const faults = (redis) => ({
		"Redis is killed and started again": { begin: () => redis.stop(), end: () => redis.start() },
		"Redis stands still (DEBUG SLEEP)": {
			begin: async () => void redis.call("DEBUG", "SLEEP", String(LASTS_MS / 1_000)).catch(() => {}),
			end: async () => {},
		},
	});
	for (const name of Object.keys(faults())) {
		if (!isWanted(name)) continue;
		const redis = await startRedis(["--enable-debug-command", "yes"]);
		const client = new Redis({ port: redis.port, host: "127.0.0.1", maxRetriesPerRequest: 1 });
		client.on("error", () => {});
		const origin = (entities, features) => {
			const [keys] = Object.values(entities);
			return Object.fromEntries(features.map((feature) => [feature, keys.map((key) => `${feature} of ${key}`)]));
		};
		const engine = await createEngine({ origin, l2: redisStore(client) });
		const ask = async (ids) => {
			const answer = await engine.serve({ entities: { driver_id: ids }, feature_names: ["name"] });
			return ids.map((id) => answer.features[id]?.name ?? null);
		};
		const told = await underFault(ask, { ...faults(redis)[name], lastsMs: LASTS_MS });
		rows.push({ host: "Node", fault: name, ...told, is_kept: told.wrong === 0 && told.lost === 0 });
		await engine.close();
		client.disconnect();
		await redis.stop();
		redis.remove();
	}
	return rows;
}

await main(async () => {
	const { values } = parseArgs({ options: { json: { type: "boolean" }, only: { type: "string", default: "" } } });
	await buildWorker();
	await buildNpm();
	await buildPackage();
	const isWanted = (name) => name.includes(values.only);
	const rows = [...(await inWorkerd(isWanted)), ...(await inNode(isWanted))];
	if (values.json) console.log(JSON.stringify(rows, null, "\t"));
	else console.table(rows);
	const broken = rows.filter(({ is_kept }) => !is_kept).map(({ fault }) => fault);
	if (broken.length > 0) throw new Failure(`lost or wrong: ${broken.join("; ")}`);
});
