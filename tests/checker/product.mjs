// The product under check: processes of `featheredge serve`, each with a clock that can be set, over one Redis or none; or Workers in
// workerd over one KV and one storage tier.

import { spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { pathToFileURL } from "node:url";
import { fromRoot } from "../support/root.mjs";
import { CONFIG_VARIABLE, OPERATOR_SECRET, overlay } from "../support/settings.mjs";
import { freePort, serve } from "../support/workerd.mjs";

const START_MS = 20_000;
const STOP_MS = 5_000;
export const OPERATOR_TOKEN = "checker";

/**
 * @typedef {object} Instance
 * @property {string} url
 * @property {(offsetMs: number) => Promise<void>} setClock how far its clock is off from now on
 * @property {(jitterMs: number, generation: number) => Promise<void>} [setInvalidationLog] up to how long a call to the invalidation log waits before and
 *   after it, each by chance, and the how manieth invalidation log is called
 * @property {() => Promise<void>} stop
 * @property {string | undefined} ended how it ended, where it did by itself
 */

/**
 * One `featheredge serve`.
 *
 * @param {{ packageDir: string, config: object, originUrl: string, redisUrl?: string, clockMs?: number }} options
 * @returns {Promise<Instance>}
 */
export async function startServe({ packageDir, config, originUrl, redisUrl, clockMs = 0 }) {
	const folder = mkdtempSync(join(tmpdir(), "featheredge-checker-"));
	const file = join(folder, "config.json");
	writeFileSync(file, JSON.stringify(config));
	const clock = pathToFileURL(fromRoot("tests/checker/clock.mjs")).href;
	const args = ["--import", clock, join(packageDir, "cli/featheredge.js"), "serve", "--json", "--port", "0"];
	args.push("--config", file, "--origin", originUrl, ...(redisUrl === undefined ? [] : ["--redis", redisUrl]));
	const child = spawn(process.execPath, args, {
		env: { ...process.env, FEATHEREDGE_OPERATOR_TOKEN: OPERATOR_TOKEN, CHECKER_CLOCK_OFFSET: String(clockMs) },
		stdio: ["ignore", "pipe", "pipe", "ipc"],
	});
	let output = "";
	let isStopping = false;
	const closed = once(child, "close").then(([code, signal]) => {
		rmSync(folder, { recursive: true, force: true });
		if (!isStopping) instance.ended = `it ended with ${code ?? signal}: ${output.slice(-2_000)}`;
	});
	const instance = {
		url: undefined,
		ended: undefined,
		async setClock(offset) {
			child.send({ clock: offset });
			await once(child, "message");
		},
		async stop() {
			isStopping = true;
			child.kill("SIGTERM");
			const timer = setTimeout(() => child.kill("SIGKILL"), STOP_MS);
			await closed;
			clearTimeout(timer);
		},
	};
	await new Promise((resolve, reject) => {
		const timer = setTimeout(() => fail("it was not ready in time"), START_MS);
		const fail = (why) => {
			clearTimeout(timer);
			child.kill("SIGKILL");
			reject(new Error(`featheredge serve: ${why}; it printed:\n${output}`));
		};
		for (const stream of [child.stdout, child.stderr]) {
			stream.setEncoding("utf8").on("data", (text) => {
				output += text;
				const ready = /^\{"ready":true,"url":"([^"]+)"\}$/m.exec(output);
				if (ready === null || instance.url !== undefined) return;
				instance.url = ready[1];
				clearTimeout(timer);
				resolve();
			});
		}
		child.once("close", () => fail("it ended at once"));
	});
	return instance;
}

/**
 * Workers in workerd, each in an isolate of its own, over one KV, one storage tier and one invalidation log.
 *
 * @param {{ folder: string, config: object, originUrl: string, count: number, clockMs: (number: number) => number }} options
 * @returns {Promise<Instance[]>}
 */
export async function startWorkers({ folder, config, originUrl, count, clockMs }) {
	const ports = [];
	for (let number = 0; number < count; number++) ports.push(await freePort());
	const [port, ...twinPorts] = ports;
	const name = "worker-entry.mjs";
	const { stop } = await serve({
		folder,
		vars: {
			[CONFIG_VARIABLE]: overlay(config, {
				origin: { kind: "http", url: originUrl },
				auth: { anonymous_scopes: ["read"] },
			}),
			[OPERATOR_SECRET]: OPERATOR_TOKEN,
		},
		port,
		twinPorts,
		entry: { name, contents: readFileSync(new URL(name, import.meta.url), "utf8") },
		onLog: () => {},
	});
	const instances = ports.map((port, number) => {
		const url = `http://127.0.0.1:${port}`;
		const put = async (path, body) => {
			const response = await fetch(`${url}/__test/${path}`, { method: "PUT", body: JSON.stringify(body) });
			if (response.status !== 204) throw new Error(`${path}: ${response.status}`);
		};
		return {
			url,
			ended: undefined,
			setClock: (offset) => put("clock", offset),
			setInvalidationLog: (jitterMs, generation) => put("invalidationLog", { jitterMs, generation }),
			// The first takes the others along.
			stop: () => (number === 0 ? stop() : Promise.resolve()),
		};
	});
	for (const [number, instance] of instances.entries())
		if (clockMs(number) !== 0) await instance.setClock(clockMs(number));
	return instances;
}
