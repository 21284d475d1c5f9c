// `npm test`: everything, in two phases. First it installs, from package registries alone. Then it runs the steps without a network,
// so that a step which downloads something fails. Uses Node's own modules only.
//
//   npm test -- [--only STEP ...] [--list]
//
// Output of a step is shown when it fails; all of it is in build/logs/.

import { join } from "node:path";
import { parseArgs } from "node:util";
import { checkNode, fetchCrates, installDebian, installPackages, installRust } from "../tests/support/prepare.mjs";
import { installPython } from "../tests/support/python.mjs";
import { fromRoot, paths } from "../tests/support/root.mjs";
import { Failure, main, run } from "../tests/support/run.mjs";
import { namespacePrefix, startRecordingProxy } from "./lib/offline.mjs";
import { countTests, steps } from "./lib/steps.mjs";

/** Set for the second phase. */
const CUT_OFF = "FEATHEREDGE_TEST_CUT_OFF";
const STEP_TIMEOUT_MS = 20 * 60_000;
/** How much of a failed step's log is shown: enough for its errors, too little to bury the other steps. */
const SHOWN_LINES = 200;

const seconds = (since) => `${((Date.now() - since) / 1000).toFixed(1)} s`;
const log = (name) => join(paths.logs, `${name}.log`);

async function installPythons(names) {
	for (const name of ["feast", "openapi", "supply"]) if (names.includes(name)) await installPython(name);
}

async function install(names) {
	const started = Date.now();
	if (process.platform === "linux") {
		const commands = {
			unshare: "util-linux",
			ip: "iproute2",
			...(["browser", "docs", "npm"].some((name) => names.includes(name)) && { chromium: "chromium" }),
			...((names.includes("npm") || names.includes("checker")) && { "redis-server": "redis-server" }),
			...(names.includes("monitoring") && { prometheus: "prometheus", promtool: "prometheus" }),
		};
		// The run goes on without them: behind a proxy instead of a namespace, and tests say what they miss.
		await installDebian(commands).catch((error) => console.warn(`warning: ${error.message}`));
	}
	const rust = installRust().then(() =>
		fetchCrates({ log: log("install-crates"), forAllMachines: names.includes("supply") }),
	);
	await Promise.all([installPackages({ log: log("install-npm") }), rust, installPythons(names)]);
	console.log(`installed in ${seconds(started)}`);
}

/** Runs this program again without a network, for the second phase. */
async function cutOff() {
	const prefix = await namespacePrefix();
	console.log(
		prefix.length > 0 ? "running without a network" : "running behind a refusing proxy (no network namespaces here)",
	);
	const [command, ...args] = [...prefix, process.execPath, ...process.argv.slice(1)];
	return (await run(command, args, { env: { [CUT_OFF]: "1" } })).code;
}

async function runStep({ name, commands, env }) {
	const started = Date.now();
	let output = "";
	let succeeded = true;
	for (const [index, [command, ...args]] of commands.entries()) {
		const result = await run(command, args, {
			env: { NO_COLOR: "1", CARGO_TERM_COLOR: "never", FEAST_USAGE: "False", WRANGLER_SEND_METRICS: "false", ...env },
			log: log(commands.length > 1 ? `${name}-${index + 1}` : name),
			timeoutMs: STEP_TIMEOUT_MS,
		});
		output += result.output;
		succeeded &&= result.code === 0;
	}
	const { passed, failed } = countTests(output, succeeded);
	console.log(
		`${failed === 0 ? "ok  " : "FAIL"}  ${name.padEnd(12)} ${String(passed).padStart(5)} passed ${String(failed).padStart(3)} failed  ${seconds(started).padStart(9)}`,
	);
	if (failed > 0) console.log(`${output.trimEnd().split("\n").slice(-SHOWN_LINES).join("\n")}\n`);
	return { name, passed, failed };
}

async function runSteps(chosen) {
	const started = Date.now();
	const proxy = await startRecordingProxy();
	Object.assign(process.env, proxy.env);
	const results = [];
	for (const step of chosen) results.push(await runStep(step));
	proxy.stop();
	const { attempts } = proxy;
	results.push({ name: "no download", passed: attempts.length === 0 ? 1 : 0, failed: attempts.length === 0 ? 0 : 1 });
	if (attempts.length > 0) console.log(`FAIL  a step tried to download:\n${attempts.join("\n")}`);

	const total = (key) => results.reduce((sum, result) => sum + result[key], 0);
	const failures = results.filter(({ failed }) => failed > 0).map(({ name }) => name);
	console.log(
		`\nran in ${seconds(started)}${failures.length > 0 ? `; failed: ${failures.join(", ")} (logs in build/logs)` : ""}`,
	);
	console.log(`${total("passed")} passed, ${total("failed")} failed`);
	return failures.length === 0 ? 0 : 1;
}

await main(async () => {
	const { values } = parseArgs({ options: { only: { type: "string", multiple: true }, list: { type: "boolean" } } });
	checkNode();
	const all = steps();
	if (values.list) return console.log(all.map(({ name }) => name).join("\n"));
	const unknown = values.only?.find((name) => !all.some((step) => step.name === name));
	if (unknown !== undefined)
		throw new Failure(`no step \`${unknown}\`: expected one of ${all.map(({ name }) => name).join(", ")}`);
	const chosen = values.only ? all.filter(({ name }) => values.only.includes(name)) : all;

	process.chdir(fromRoot());
	if (process.env[CUT_OFF]) {
		process.exitCode = await runSteps(chosen);
	} else {
		await install(chosen.map(({ name }) => name));
		process.exitCode = await cutOff();
	}
});
