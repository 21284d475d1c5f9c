// Starts `featheredge serve`, from the built package, for a test: on a free port, with a Redis where one is given.

import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { poster } from "./poster.mjs";
import { startProgram } from "./program.mjs";
import { paths } from "./root.mjs";
import { AUTHORIZATION_SECRET, OPERATOR_SECRET, overlay } from "./settings.mjs";

/** Runs the command with these settings; the folder of its configuration goes with `remove`. */
function run({ vars = {}, origin, authorization, operatorToken, secrets = {}, rateLimits = {}, redis }) {
	const folder = mkdtempSync(join(tmpdir(), "featheredge-serve-"));
	const file = join(folder, "featheredge.json");
	const config = origin === undefined ? vars : overlay({ origin: { kind: "http", url: origin.url ?? origin } }, vars);
	const ratelimits = Object.entries(rateLimits).map(([name, { simple }]) => ({ name, simple }));
	writeFileSync(file, JSON.stringify({ ...config, ...(ratelimits.length > 0 && { ratelimits }) }));
	const args = ["serve", "--port", "0", "--config", file, "--json"];
	if (redis !== undefined) args.push("--redis", `redis://127.0.0.1:${redis.port}`);
	const env = {
		...secrets,
		...(authorization !== undefined && { [AUTHORIZATION_SECRET]: authorization }),
		...(operatorToken !== undefined && { [OPERATOR_SECRET]: operatorToken }),
	};
	const program = startProgram(process.execPath, [join(paths.package, "cli/featheredge.js"), ...args], { env });
	return { program, remove: () => rmSync(folder, { recursive: true, force: true }) };
}

/**
 * @param {import("./worker.mjs").WorkerOptions & { redis?: import("./redis.mjs").Redis }} [options] as of a Worker
 * @returns {Promise<import("./worker.mjs").Host & { program: import("./program.mjs").Program }>}
 */
export async function startServe(options = {}) {
	const { redis } = options;
	await redis?.call("FLUSHALL");
	const { program, remove } = run(options);
	const [, url] = await program.prints(/"url":"([^"]+)"/);
	return {
		url,
		port: Number(new URL(url).port),
		program,
		post: poster(url),
		storeKeys: () => redis.call("KEYS", "*"),
		async stop() {
			const code = await program.stop();
			remove();
			return code;
		},
	};
}

/** Starts one that is to refuse its settings, and gives what it says of them. */
export async function refuseServe(options) {
	const { program, remove } = run(options);
	const code = await program.ends();
	remove();
	if (code !== 3) throw new Error(`it ended with ${code}: ${program.output()}`);
	return JSON.parse(program.output()).error;
}
