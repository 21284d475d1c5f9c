// `npm run deploy`: puts the Worker on Cloudflare by wrangler. The account's ids come from the account, never from the repository: they
// are written, with wrangler.toml's settings, to build/deploy/wrangler.json.
//
//   npm run deploy -- [--origin URL] [--config FILE] [--name NAME] [--dry-run]

import { mkdirSync, rmSync, writeFileSync } from "node:fs";
import { join, relative } from "node:path";
import { parseArgs } from "node:util";
import { checkNode, installPackages } from "../tests/support/prepare.mjs";
import { fromRoot } from "../tests/support/root.mjs";
import { Failure, main, mustRun } from "../tests/support/run.mjs";

const OUT = fromRoot("build/deploy");
const CONFIG = join(OUT, "wrangler.json");
const SECRETS = join(OUT, "secrets.json");

/** Runs wrangler over the generated configuration, without its usage reports. */
function wrangler(args, options) {
	const env = { WRANGLER_SEND_METRICS: "false" };
	return mustRun(process.execPath, [fromRoot("node_modules/wrangler/bin/wrangler.js"), ...args, "--config", CONFIG], {
		env,
		...options,
	});
}

function writeConfig(table) {
	mkdirSync(OUT, { recursive: true });
	writeFileSync(CONFIG, `${JSON.stringify(table, null, "\t")}\n`);
}

/** wrangler.toml with the person's settings over it, its paths seen from build/deploy. */
async function settings({ config, origin, name }) {
	const { CONFIG_VARIABLE, overlay, readConfig, readWranglerToml } = await import("../tests/support/settings.mjs");
	// The Worker is built by now; wrangler would build it again.
	const { build, ...table } = readWranglerToml();
	let vars = table.vars?.[CONFIG_VARIABLE] ?? {};
	if (config !== undefined) vars = overlay(vars, readConfig(config));
	if (origin !== undefined) vars = overlay(vars, { origin: { kind: "http", url: origin } });
	return {
		...table,
		name: name ?? table.name,
		main: relative(OUT, fromRoot(table.main)),
		assets: table.assets && { ...table.assets, directory: relative(OUT, fromRoot(table.assets.directory)) },
		vars: { ...table.vars, [CONFIG_VARIABLE]: vars },
	};
}

/** The id of the account's KV namespace of that title, made if there is none. */
async function namespaceId(title) {
	const find = async () => {
		const output = await wrangler(["kv", "namespace", "list"], { capture: true });
		// Warnings may stand before the list.
		const list = JSON.parse(output.slice(output.indexOf("[\n"), output.lastIndexOf("]") + 1) || "[]");
		return list.find((namespace) => namespace.title === title)?.id;
	};
	const found = await find();
	if (found !== undefined) return found;
	console.log(`creating the KV namespace ${title}`);
	await wrangler(["kv", "namespace", "create", title], { capture: true });
	const created = await find();
	if (created === undefined)
		throw new Failure(`the KV namespace \`${title}\` was created and is not listed: run this again`);
	return created;
}

await main(async () => {
	const { values } = parseArgs({
		options: {
			origin: { type: "string" },
			config: { type: "string" },
			name: { type: "string" },
			"dry-run": { type: "boolean", default: false },
		},
	});
	checkNode();
	await installPackages();
	const { buildPage, buildWorker, checkWorkerSize } = await import("./build.mjs");
	await buildWorker();
	await buildPage();
	checkWorkerSize();

	const table = await settings(values);
	writeConfig(table);
	if (values["dry-run"]) {
		await wrangler(["deploy", "--dry-run", "--outdir", join(OUT, "out")]);
		return;
	}

	for (const namespace of table.kv_namespaces) {
		namespace.id ??= await namespaceId(`${table.name}-${namespace.binding}`);
	}
	writeConfig(table);

	const secrets = (await import("../tests/support/settings.mjs")).environmentSecrets();
	const hasSecrets = Object.keys(secrets).length > 0;
	const secretArgs = hasSecrets ? ["--secrets-file", SECRETS] : [];
	try {
		if (hasSecrets) writeFileSync(SECRETS, JSON.stringify(secrets), { mode: 0o600 });
		await wrangler(["deploy", ...secretArgs]);
	} finally {
		rmSync(SECRETS, { force: true });
	}
});
