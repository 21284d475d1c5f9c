// Simulates a deployment over many locations, with the real core in virtual time: docs/internals/scale.md.
//
//   npm run scale [-- --json FILE] [--markdown FILE] [--rates N,N,…] [--seed N] [--set NAME=NUMBER ...]
//
// NAME is a field of `Deployment` in benches/scale/deployment.rs, such as `ttl_seconds` or `locations`.

import { mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { dirname, resolve } from "node:path";
import { parseArgs } from "node:util";
import { checkNode, installRust } from "../tests/support/prepare.mjs";
import { fromRoot } from "../tests/support/root.mjs";
import { Failure, main, mustRun } from "../tests/support/run.mjs";

/** The simulator, compiled for speed: the release profile is for the size of the modules. */
const SIMULATOR = ["run", "--locked", "--quiet", "--profile", "bench", "--package", "featheredge-scale", "--"];

const percent = (share) => `${(share * 100).toFixed(1)} %`;
const KINDS = { direct: "the origin directly", l1_alone: "L1 alone", tiers: "L1 and KV" };

function numberOf(text, what) {
	const number = Number(text);
	if (text === "" || !Number.isFinite(number)) throw new Failure(`\`${text}\` is no number: ${what} expects one`);
	return number;
}

/** The table as docs/internals/scale.md has it. */
function cellsOf(row) {
	const calls = row.worth_it_from_dollars;
	const cheaper = calls === null ? "" : calls === 0 ? "any" : `$${calls.toFixed(2)}`;
	return {
		"requests/s": row.rate.toLocaleString("en"),
		"before the origin": KINDS[row.kind],
		L1: percent(row.l1),
		L2: percent(row.l2),
		origin: percent(row.origin + row.shared),
		offload: percent(row.offload),
		"age p50, p99, oldest": [row.age_p50, row.age_p99, row.age_max]
			.map((age) => `${age.toFixed(age < 1 ? 2 : 0)} s`)
			.join(", "),
		"KV reads, writes a million": [row.reads_per_million, row.writes_per_million]
			.map((count) => Math.round(count).toLocaleString("en"))
			.join(", "),
		"a million costs": `$${row.dollars_per_million.toFixed(2)}`,
		"cheaper from, a million calls": cheaper,
	};
}

function markdown(rows) {
	const cells = rows.map(cellsOf);
	const line = (values) => `| ${values.join(" | ")} |`;
	const heads = Object.keys(cells[0]);
	return [line(heads), line(heads.map(() => "---")), ...cells.map((row) => line(Object.values(row)))].join("\n");
}

await main(async () => {
	const { values } = parseArgs({
		options: {
			json: { type: "string", default: fromRoot("build/scale.json") },
			markdown: { type: "string" },
			rates: { type: "string", default: "100,1000,10000,100000,1000000" },
			seed: { type: "string", default: "1" },
			set: { type: "string", multiple: true, default: [] },
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
	checkNode();
	await installRust();
	mkdirSync(dirname(resolve(values.json)), { recursive: true });
	await mustRun("cargo", [...SIMULATOR, JSON.stringify(options), resolve(values.json)]);
	const { rows } = JSON.parse(readFileSync(values.json, "utf8"));
	console.table(rows.map(cellsOf));
	if (values.markdown !== undefined) writeFileSync(values.markdown, `${markdown(rows)}\n`);
});
