// Loads the Worker, or `featheredge serve`, for long, then with five times what it can serve, then as before: docs/internals/reliability.md has the figures.
//
//   npm run load [-- --host worker|serve] [--steady SECONDS] [--overload SECONDS] [--after SECONDS] [--settle SECONDS] [--entities N] [--rate N] [--json] [--record] [--save FILE.json] [--plot FILE.svg]
//
// Fifteen minutes unless told otherwise. Everything is on loopback and stops by itself. It fails where a requirement is not met.

import { writeFileSync } from "node:fs";
import { parseArgs } from "node:util";
import { build } from "../tests/support/build.mjs";
import { grouped, RECORDING, record } from "../tests/support/figures.mjs";
import { checkNode, installPackages } from "../tests/support/prepare.mjs";
import { Failure, main } from "../tests/support/run.mjs";

const HOSTS = ["worker", "serve"];

const number = (text) => Number(text);

await main(async () => {
	const { values } = parseArgs({
		options: {
			host: { type: "string", default: "worker" },
			steady: { type: "string", default: "600" },
			overload: { type: "string", default: "60" },
			after: { type: "string", default: "30" },
			settle: { type: "string", default: "60" },
			step: { type: "string", default: "6" },
			steps: { type: "string", default: "4" },
			rate: { type: "string" },
			entities: { type: "string" },
			json: { type: "boolean" },
			save: { type: "string" },
			plot: { type: "string" },
			...RECORDING,
		},
	});
	checkNode();
	await installPackages();
	if (!HOSTS.includes(values.host)) {
		throw new Failure(`no host \`${values.host}\`: expected one of ${HOSTS.join(", ")}`);
	}
	await build(values.host === "serve" ? "package" : "worker");
	const { measureLoad } = await import("./overload.mjs");
	const { plotLoad } = await import("./plot.mjs");
	const run = await measureLoad({
		host: values.host,
		steadySeconds: number(values.steady),
		overloadSeconds: number(values.overload),
		afterSeconds: number(values.after),
		settleSeconds: number(values.settle),
		stepSeconds: number(values.step),
		steps: number(values.steps),
		rate: values.rate === undefined ? undefined : number(values.rate),
		...(values.entities !== undefined && { entities: number(values.entities) }),
	});
	if (values.save !== undefined) writeFileSync(values.save, JSON.stringify(run));
	if (values.plot !== undefined) writeFileSync(values.plot, plotLoad(run));
	if (values.json) console.log(JSON.stringify(run, null, "\t"));
	else print(run);
	record(values, { [`load-${values.host}`]: rowsOf(run) });
	const broken = Object.entries(run.requirements).filter(([, isMet]) => !isMet);
	if (broken.length > 0) throw new Failure(`not met: ${broken.map(([requirement]) => requirement).join("; ")}`);
});

/** The phases as docs/internals/reliability.md has them. */
function rowsOf({ host, phases, memory }) {
	const resident = memory.flatMap(({ resident_bytes: bytes }) => bytes ?? []);
	return phases.map(({ name, rate, seconds, total }, at) => ({
		host,
		phase: name,
		rate: grouped(rate),
		seconds: seconds.length,
		served: grouped(total.served),
		shed: grouped(total.shed),
		failed: grouped(total.failed),
		wrong: grouped(total.wrong),
		"p50, ms": grouped(total.p50),
		"p95, ms": grouped(total.p95),
		"p99, ms": grouped(total.p99),
		// The most that its process took, over all phases.
		"memory, MB": at === phases.length - 1 && resident.length > 0 ? grouped(Math.max(...resident) / 1_048_576) : "",
	}));
}

function print({
	host,
	maximum,
	phases,
	memory,
	examples,
	recovery_seconds: recovery,
	grown_bytes: grown,
	requirements,
}) {
	const millis = (value) => Math.round(value * 10) / 10;
	console.log(`the most that ${host} serves within the SLO: ${maximum} requests a second`);
	console.table(
		phases.map(({ name, rate, seconds, total: { latencies: _, ...total } }) => ({
			phase: name,
			rate,
			seconds: seconds.length,
			...total,
			p50: millis(total.p50),
			p95: millis(total.p95),
			p99: millis(total.p99),
			longest: millis(total.longest),
		})),
	);
	const megabytes = (bytes) => `${(bytes / 1_048_576).toFixed(1)} MB`;
	const most = (figure) => megabytes(Math.max(...memory.map((sample) => sample[figure] ?? 0)));
	const figures = [
		["process", "resident"],
		["wasm", "wasm"],
	].filter(([, figure]) => memory.some((sample) => sample[`${figure}_bytes`] !== undefined));
	const told = figures.map(
		([name, figure]) => `${name} by ${megabytes(grown[figure])} to at the most ${most(`${figure}_bytes`)}`,
	);
	console.log(`as before after ${recovery} s; memory grew: ${told.join(", ")}`);
	for (const text of examples) console.log(`of what went wrong: ${text}`);
	console.table(Object.entries(requirements).map(([requirement, isMet]) => ({ requirement, met: isMet })));
}
