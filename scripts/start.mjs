// `npm start`: from a clean clone to a Worker that answers. Uses Node's own modules only until the packages are installed.

import { rmSync } from "node:fs";
import { join, resolve } from "node:path";
import { parseArgs } from "node:util";
import { checkNode, installPackages } from "../tests/support/prepare.mjs";
import { fromRoot } from "../tests/support/root.mjs";
import { Failure, main } from "../tests/support/run.mjs";
import { examples, USAGE } from "./lib/serving.mjs";
import { lockStores } from "./lib/stores_lock.mjs";

function parseOptions() {
	let values;
	try {
		({ values } = parseArgs({
			options: {
				port: { type: "string", default: "8787" },
				origin: { type: "string" },
				config: { type: "string" },
				stores: { type: "string", default: ".featheredge" },
				fresh: { type: "boolean", default: false },
				help: { type: "boolean", default: false },
			},
		}));
	} catch (error) {
		throw new Failure(`${error.message}\n\n${USAGE}`);
	}
	const port = Number(values.port);
	if (!/^\d+$/.test(values.port) || port < 1 || port > 65_535) {
		throw new Failure(`\`--port\` must be a number from 1 to 65535, found \`${values.port}\``);
	}
	if (
		values.origin !== undefined &&
		!/^https?:$/.test(URL.canParse(values.origin) ? new URL(values.origin).protocol : "")
	) {
		throw new Failure(`\`--origin\` must be an http or https URL, found \`${values.origin}\``);
	}
	return { ...values, port };
}

/** The Worker's variables: wrangler.toml, then the file, then the command line. */
async function variables({ config, origin }) {
	const { CONFIG_VARIABLE, environmentSecrets, overlay, readConfig, readWranglerToml } = await import(
		"../tests/support/settings.mjs"
	);
	const { vars = {} } = readWranglerToml();
	let table = vars[CONFIG_VARIABLE] ?? {};
	if (config !== undefined) table = overlay(table, readConfig(config));
	if (origin !== undefined) table = overlay(table, { origin: { kind: "http", url: origin } });
	return { ...vars, [CONFIG_VARIABLE]: table, ...environmentSecrets() };
}

/** Refuses a configuration that the Worker cannot use; an origin that is not up yet is only a warning. */
async function checkReady(url) {
	const response = await fetch(`${url}/ready`, { signal: AbortSignal.timeout(10_000) });
	const problem = await response.json().catch(() => ({}));
	if (response.ok) return;
	const detail = problem.detail ?? `GET /ready answered ${response.status}`;
	if (/config/.test(problem.type ?? "")) throw new Failure(`the configuration is not valid: ${detail}`);
	console.warn(`warning: not ready yet: ${detail}`);
}

/** Makes `stop` all that a signal does; miniflare's own listeners end the process with the signal's code. */
function onSignal(stop) {
	for (const signal of ["SIGINT", "SIGTERM", "SIGHUP"]) {
		process.removeAllListeners(signal);
		process.on(signal, stop);
	}
}

async function start() {
	onSignal(() => process.exit(0));
	const options = parseOptions();
	if (options.help) return console.log(USAGE);
	checkNode();
	await installPackages();

	const vars = await variables(options);
	const { checkPort, serve, STORES } = await import("../tests/support/workerd.mjs");
	await checkPort(options.port);
	const { buildPage, buildWorker } = await import("./build.mjs");
	await buildWorker();
	await buildPage();

	const stores = resolve(fromRoot(), options.stores);
	const unlock = lockStores(stores, `http://127.0.0.1:${options.port}`);
	process.once("exit", unlock);
	// Nothing else that may be in a folder of the person's choice.
	if (options.fresh) for (const kind of STORES) rmSync(join(stores, kind), { recursive: true, force: true });
	const worker = await serve({ vars, port: options.port, persist: stores });
	try {
		await checkReady(worker.url);
		const stopRequested = new Promise(onSignal);
		console.log(`ready on ${worker.url}\n\n${examples(worker.url)}`);
		await stopRequested;
	} finally {
		await worker.stop();
	}
}

await main(start);
process.exit();
