// One client makes mistakes all the time; what becomes of another's good requests? docs/internals/reliability.md has the table.
//
//   npm run availability [-- --seconds N] [--host worker|serve] [--origin closing|feast] [--json] [--record]
//
// On both hosts, and before both origins, unless told otherwise: a minute each. All on loopback. It fails where a good request does.

import { parseArgs } from "node:util";
import { build } from "../support/build.mjs";
import { grouped, RECORDING, record } from "../support/figures.mjs";
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

/** A run as docs/internals/reliability.md has it. */
const cellsOf = ({ host, origin, mistakes, good: { reads, pushes, passed }, failed }) => ({
	host,
	origin,
	"A by status": Object.entries(mistakes)
		.map(([status, count]) => `${status}: ${grouped(count)}`)
		.join(", "),
	reads: grouped(reads.sent),
	pushes: grouped(pushes.sent),
	passed: grouped(passed.sent),
	failed: grouped(failed),
	"read p50": millis(reads.p50_ms),
	p99: millis(reads.p99_ms),
	"push p50": millis(pushes.p50_ms),
	"push p99": millis(pushes.p99_ms),
});

await main(async () => {
	const { values } = parseArgs({
		options: {
			seconds: { type: "string", default: "60" },
			host: { type: "string" },
			origin: { type: "string" },
			json: { type: "boolean" },
			...RECORDING,
		},
	});
	const hosts = chosen("host", values.host, HOST_NAMES);
	const origins = chosen("origin", values.origin, ORIGIN_NAMES);
	if (values.record && hosts.length * origins.length < HOST_NAMES.length * ORIGIN_NAMES.length)
		throw new Failure("`--record` needs all hosts and origins: leave out `--host` and `--origin`");
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
	record(values, { availability: runs.map(cellsOf) });
	const failed = runs.filter(({ failed }) => failed > 0);
	if (failed.length > 0)
		throw new Failure(`good requests failed: ${failed.map(({ host, origin }) => `${host}, ${origin}`).join("; ")}`);
});

function print(runs) {
	console.table(runs.map((run) => ({ ...cellsOf(run), "breaker opened": run.breaker_opened })));
	for (const { host, origin, examples } of runs) {
		for (const text of examples) console.log(`${host}, ${origin}: ${text}`);
	}
}
