// One client makes mistakes all the time; what becomes of another's good requests? docs/internals/reliability.md has the table.
//
//   npm run availability [-- --seconds N] [--host worker|serve] [--origin closing|feast] [--json]
//
// On both hosts, and before both origins, unless told otherwise: a minute each. All on loopback. It fails where a good request does.

import { parseArgs } from "node:util";
import { build } from "../support/build.mjs";
import { checkNode, installPackages } from "../support/prepare.mjs";
import { installPython, pythonOf } from "../support/python.mjs";
import { Failure, main } from "../support/run.mjs";

const HOST_NAMES = ["worker", "serve"];
const ORIGIN_NAMES = ["closing", "feast"];

/** The one that an option names, or all. */
function chosen(name, value, known) {
	if (value !== undefined && !known.includes(value))
		throw new Failure(`no ${name} \`${value}\`: expected one of ${known.join(", ")}`);
	return value === undefined ? known : [value];
}

const millis = (value) => Math.round(value * 10) / 10;

await main(async () => {
	const { values } = parseArgs({
		options: {
			seconds: { type: "string", default: "60" },
			host: { type: "string" },
			origin: { type: "string" },
			json: { type: "boolean" },
		},
	});
	const hosts = chosen("host", values.host, HOST_NAMES);
	const origins = chosen("origin", values.origin, ORIGIN_NAMES);
	checkNode();
	await installPackages();
	await build("worker", "package");
	if (origins.includes("feast")) {
		await installPython("feast");
		process.env.FEATHEREDGE_FEAST_PYTHON ??= pythonOf("feast");
	}
	const { availabilityOf } = await import("./measure.mjs");
	const runs = [];
	for (const origin of origins) {
		for (const host of hosts)
			runs.push({ host, origin, ...(await availabilityOf(host, origin, Number(values.seconds))) });
	}
	if (values.json) console.log(JSON.stringify(runs, null, "\t"));
	else print(runs);
	const failed = runs.filter(({ failed }) => failed > 0);
	if (failed.length > 0)
		throw new Failure(`good requests failed: ${failed.map(({ host, origin }) => `${host}, ${origin}`).join("; ")}`);
});

function print(runs) {
	console.table(
		runs.map(({ host, origin, mistakes, good: { reads, pushes, passed }, failed, breaker_opened: opened }) => ({
			host,
			origin,
			"A, by status": Object.entries(mistakes)
				.map(([status, count]) => `${status}: ${count}`)
				.join(", "),
			"B: reads": reads.sent,
			pushes: pushes.sent,
			"passed on": passed.sent,
			failed,
			"read p50, ms": millis(reads.p50_ms),
			"p99, ms": millis(reads.p99_ms),
			"push p50, ms": millis(pushes.p50_ms),
			"push p99, ms": millis(pushes.p99_ms),
			"breaker opened": opened,
		})),
	);
	for (const { host, origin, examples } of runs) {
		for (const text of examples) console.log(`${host}, ${origin}: ${text}`);
	}
}
