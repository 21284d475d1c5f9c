// Fuzzes what reads hostile bytes, guided by coverage, on the stable toolchain: fuzz/src/lib.rs says how.
//
//   npm run fuzz [-- --seconds N] [--only TARGET ...] [--keep] [--json] [--record]
//
// Each target runs for N seconds (300 of them unless told otherwise), two at one time. An input of which something does not hold is left in
// build/fuzz/, and ends the run with code 1. `--keep` leaves in fuzz/corpus/ the fewest inputs that reach all that was reached.

import { join } from "node:path";
import { parseArgs } from "node:util";
import { grouped, RECORDING, record } from "../tests/support/figures.mjs";
import { fromRoot, paths } from "../tests/support/root.mjs";
import { Failure, main, mustRun, run } from "../tests/support/run.mjs";

const TARGETS = ["session", "request", "origin", "envelope", "config"];
const AT_ONE_TIME = 2;

/** Builds the search with counters in all code that it runs; its path. */
async function build() {
	const version = await mustRun("rustc", ["-vV"], { capture: true });
	const host = /^host: (.+)$/m.exec(version)[1];
	const folder = join(paths.target, "guided");
	// For a target that is named, so that the flags reach no build script or macro.
	const args = [
		"build",
		"--quiet",
		"--locked",
		"--package",
		"featheredge-fuzz",
		"--profile",
		"fuzz",
		"--features",
		"guided",
	];
	await mustRun("cargo", [...args, "--target", host, "--target-dir", folder], {
		env: {
			RUSTFLAGS: "-C instrument-coverage -C symbol-mangling-version=v0 -C llvm-args=-enable-name-compression=false",
		},
	});
	return join(folder, host, "fuzz", "featheredge-fuzz");
}

async function fuzz(program, target, { seconds, keep }) {
	const args = [target, "--seconds", seconds, "--failures", fromRoot("build/fuzz"), ...(keep ? ["--keep"] : [])];
	// The counters are read in memory; the file that they would be written to at the end is of no use.
	const { code, output } = await run(program, args, { capture: true, env: { LLVM_PROFILE_FILE: "/dev/null" } });
	if (code !== 0) throw new Failure(`${target}: an input of which something does not hold\n${output}`);
	return JSON.parse(output.trim().split("\n").at(-1));
}

const regionsOf = (row) => `${grouped(row.regions_ran)} of ${grouped(row.regions)} (${row.coverage_percent} %)`;

function print(rows) {
	console.table(
		rows.map((row) => ({
			target: row.target,
			executions: row.executions,
			"per second": row.executions_per_second,
			"regions reached": regionsOf(row),
			"of them by the corpus": row.regions_ran_by_corpus,
			"slowest, ms": row.slowest_ms,
		})),
	);
}

await main(async () => {
	const { values } = parseArgs({
		options: {
			seconds: { type: "string", default: "300" },
			only: { type: "string", multiple: true },
			keep: { type: "boolean" },
			json: { type: "boolean" },
			...RECORDING,
		},
	});
	const unknown = values.only?.find((target) => !TARGETS.includes(target));
	if (unknown !== undefined) throw new Failure(`no target \`${unknown}\`: expected one of ${TARGETS.join(", ")}`);
	if (values.record && values.only !== undefined) throw new Failure("`--record` needs all targets: leave out `--only`");
	const program = await build();
	const waiting = [...(values.only ?? TARGETS)];
	const rows = [];
	const work = async () => {
		for (let target = waiting.shift(); target !== undefined; target = waiting.shift()) {
			rows.push(await fuzz(program, target, values));
		}
	};
	await Promise.all(Array.from({ length: AT_ONE_TIME }, work));
	if (values.json) console.log(JSON.stringify(rows, null, "\t"));
	else print(rows);
	record(values, {
		fuzz: rows.map((row) => ({
			target: row.target,
			executions: grouped(row.executions),
			"regions reached": regionsOf(row),
		})),
	});
});
