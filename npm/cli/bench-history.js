// `featheredge bench history`: the runs that were saved, and what people say of them.

import { homedir } from "node:os";
import { join } from "node:path";
import { createBenchmark, fileHistory } from "../dist/benchmark-node.js";
import { withFailures } from "./bench-failure.js";
import { printRun } from "./bench-print.js";
import { EXIT, Failure } from "./failure.js";
import { print, printJson } from "./output.js";
import { tableOf } from "./table.js";

/** The file of the history: of this user, by the XDG Base Directory Specification. */
function path() {
	const { FEATHEREDGE_BENCH_HISTORY: own, XDG_STATE_HOME: state } = process.env;
	return own ?? join(state || join(homedir(), ".local", "state"), "featheredge", "benchmarks.jsonl");
}

export const historyOf = () => fileHistory(path());

/** The run of an id, or of the beginning of only one; `undefined` if there is none. */
export async function findRun(history, id) {
	if (id === "baseline") return history.baseline();
	const runs = await history.history();
	if (id === "latest") return runs[0];
	const matching = runs.filter((run) => run.id === id || run.id.startsWith(id));
	if (matching.length <= 1) return matching[0];
	throw new Failure(`several runs begin with \`${id}\``, EXIT.usage);
}

/** A run as the library has it: a file or a history may have been written by anybody. */
export const checkedRun = (benchmark, run, named) =>
	withFailures(() => benchmark.parse(run), `\`${named}\` is not a run`);

async function found(history, id) {
	const run = await findRun(history, id);
	if (run !== undefined) return run;
	throw new Failure(`there is no run \`${id}\`: \`featheredge bench history\` lists them`);
}

export async function list({ limit, json }) {
	const runs = await historyOf().history(limit);
	if (json) return printJson(runs);
	if (runs.length === 0) return print("no runs yet: `featheredge bench` makes one");
	const rows = runs.map(({ id, started_at, name = "", environment, scenarios, is_baseline }) => [
		is_baseline ? `${id} *` : id,
		started_at.slice(0, 16).replace("T", " "),
		environment?.target ?? "",
		scenarios.length,
		name,
	]);
	print(...tableOf(["run", "began", "target", "scenarios", "name"], rows));
	if (runs.some(({ is_baseline }) => is_baseline)) print("* the baseline");
}

export async function show(id, { json }) {
	const run = await checkedRun(await createBenchmark(), await found(historyOf(), id), id);
	if (json) printJson(run);
	else printRun(run, Math.max(...run.scenarios.map(({ repeats }) => repeats.length)));
}

export async function remove(id) {
	const history = historyOf();
	await history.remove((await found(history, id)).id);
}

export async function rename(id, name) {
	const history = historyOf();
	await history.update((await found(history, id)).id, { name });
}

export async function makeBaseline(id) {
	const history = historyOf();
	await history.update((await found(history, id)).id, { is_baseline: true });
}
