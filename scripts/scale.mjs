// Simulates a deployment over many locations, with the real core in virtual time: docs/internals/scale.md.
//
//   npm run scale [-- --json FILE] [--record] [--rates N,N,…] [--seed N] [--set NAME=NUMBER ...]
//   npm run scale -- --study assumptions|samples [--record]
//
// NAME is a field of `Deployment` in benches/scale/deployment.rs, such as `ttl_seconds` or `locations`. A study runs the simulation once for each of its variants.
// `--record` puts what came of the defaults, or of a study, into docs/figures.json, and renews the documents.

import { mkdirSync, readFileSync } from "node:fs";
import { dirname, resolve } from "node:path";
import { parseArgs } from "node:util";
import { grouped, RECORDING, record } from "../tests/support/figures.mjs";
import { checkNode, installRust } from "../tests/support/prepare.mjs";
import { fromRoot } from "../tests/support/root.mjs";
import { Failure, main, mustRun } from "../tests/support/run.mjs";

/** The simulator, compiled for speed: the release profile is for the size of the modules. */
const SIMULATOR = ["run", "--locked", "--quiet", "--profile", "bench", "--package", "featheredge-scale", "--"];

const RATES = "100,1000,10000,100000,1000000";
const SEED = "1";

const dollars = (number) => `$${number.toFixed(2)}`;
const age = (seconds) => `${seconds.toFixed(seconds < 1 ? 2 : 0)} s`;
const percent = (share) => `${(share * 100).toFixed(1)} %`;
const KINDS = { direct: "origin alone", l1_alone: "L1 alone", tiers: "L1 and KV" };

function numberOf(text, what) {
	const number = Number(text);
	if (text === "" || !Number.isFinite(number)) throw new Failure(`\`${text}\` is no number: ${what} expects one`);
	return number;
}

/** A row of which each table of docs/internals/scale.md takes its columns. */
function cellsOf(row) {
	const calls = row.worth_it_from_dollars;
	return {
		"requests/s": grouped(row.rate),
		deployment: KINDS[row.kind],
		L1: percent(row.l1),
		L2: percent(row.l2),
		origin: percent(row.origin + row.shared),
		offload: percent(row.offload),
		"age p50": age(row.age_p50),
		"age p99": age(row.age_p99),
		"age, oldest": age(row.age_max),
		"KV reads a million": grouped(Math.round(row.reads_per_million)),
		"KV writes a million": grouped(Math.round(row.writes_per_million)),
		"cost a million": dollars(row.dollars_per_million),
		"cheaper from": calls === null ? "" : calls === 0 ? "any" : dollars(calls),
	};
}

/** What an assumption changes at two rates, L1 and KV together. */
function assumptionRow(changed, rows) {
	const [few, many] = rows.filter(({ kind }) => kind === "tiers");
	return {
		changed,
		"offload at 1,000": percent(few.offload),
		"at 100,000": percent(many.offload),
		"cost a million at 1,000": dollars(few.dollars_per_million),
		"at 100,000 requests": dollars(many.dollars_per_million),
	};
}

/** The variants of a study by their names, and the rows that each gives. */
const STUDIES = {
	assumptions: {
		table: "scale-assumptions",
		rates: [1_000, 100_000],
		// Smaller than the default's: twelve simulations.
		always: { sampled_rate: 2_000 },
		variants: {
			nothing: {},
			"KV's writes are visible elsewhere within 5 s, not 60": { kv_delay_seconds: 5 },
			"isolates live for ten minutes, not an hour": { isolate_life_seconds: 600 },
			"an isolate serves 100 requests/s, not 500": { isolate_rate: 100 },
			"100 locations, not 300": { locations: 100 },
			"Zipf's exponent is 0.8, not 0.99": { exponent: 0.8 },
		},
		rowsOf: (name, rows) => [assumptionRow(name, rows)],
	},
	samples: {
		table: "scale-samples",
		rates: [10_000],
		variants: {
			"10,000": { sampled_rate: 10_000 },
			"5,000": { sampled_rate: 5_000 },
			"2,500": { sampled_rate: 2_500 },
		},
		rowsOf: (name, rows) =>
			rows.filter(({ kind }) => kind !== "direct").map((row) => ({ "simulated/s": name, ...cellsOf(row) })),
	},
};

/** Runs the simulator; the rows that it wrote to a file. */
async function simulate(options, file) {
	mkdirSync(dirname(file), { recursive: true });
	await mustRun("cargo", [...SIMULATOR, JSON.stringify(options), file]);
	return JSON.parse(readFileSync(file, "utf8")).rows;
}

async function runStudy(study, seed, file) {
	const { rates, always, variants, rowsOf } = STUDIES[study];
	const rows = [];
	for (const [name, changed] of Object.entries(variants)) {
		rows.push(...rowsOf(name, await simulate({ rates, seed, deployment: { ...always, ...changed } }, file)));
	}
	return rows;
}

await main(async () => {
	const { values } = parseArgs({
		options: {
			json: { type: "string", default: fromRoot("build/scale.json") },
			study: { type: "string" },
			rates: { type: "string", default: RATES },
			seed: { type: "string", default: SEED },
			set: { type: "string", multiple: true, default: [] },
			...RECORDING,
		},
	});
	const options = {
		rates: values.rates.split(",").map((rate) => numberOf(rate, "--rates")),
		seed: numberOf(values.seed, "--seed"),
		deployment: {},
	};
	for (const setting of values.set) {
		const [name, value = ""] = setting.split("=");
		options.deployment[name] = numberOf(value, `--set ${name}`);
	}
	if (values.study !== undefined && !Object.hasOwn(STUDIES, values.study))
		throw new Failure(`no study \`${values.study}\`: expected one of ${Object.keys(STUDIES).join(", ")}`);
	if (values.record && (values.rates !== RATES || values.seed !== SEED || values.set.length > 0))
		throw new Failure("`--record` is for the defaults and for studies");
	checkNode();
	await installRust();
	const file = resolve(values.json);
	if (values.study !== undefined) {
		const rows = await runStudy(values.study, options.seed, file);
		console.table(rows);
		return record(values, { [STUDIES[values.study].table]: rows });
	}
	const rows = (await simulate(options, file)).map(cellsOf);
	console.table(rows);
	record(values, { "scale-tiers": rows, "scale-age": rows, "scale-cost": rows });
});
