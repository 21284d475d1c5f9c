// `featheredge bench`: measures what Featheredge gains for a popular load and for the standard scenarios, on an engine in this process or on
// a server; compares with an earlier run, and holds a budget.

import { renameSync, writeFileSync } from "node:fs";
import {
	createBenchmark,
	engineTarget,
	memoryStore,
	originTarget,
	syntheticOrigin,
	toCsv,
	toMarkdown,
	urlTarget,
} from "../dist/benchmark-node.js";
import { createEngine, feastOrigin } from "../dist/node.js";
import { withFailures } from "./bench-failure.js";
import { checkedRun, findRun, historyOf } from "./bench-history.js";
import { printBudget, printComparison, printHighestRate, printRun } from "./bench-print.js";
import { EXIT, Failure } from "./failure.js";
import { readJson } from "./files.js";
import { clearProgress, drawProgress, printJson, printLines } from "./output.js";
import { bearerOf } from "./token.js";

/** The load that is warm by its own warm-up, and is measured on its origin alone too. */
const POPULAR = "popular_load";

/** The largest file of scenarios, a run, a budget or ids. */
const FILE = { maxBytes: 64 << 20 };

/** @param {string} text `sequential`, `uniform:N`, `zipf:N:S`, or a file */
function popularityOf(text) {
	const [, kind, population, exponent] = /^(sequential|uniform|zipf)(?::(\d+))?(?::([\d.]+))?$/.exec(text) ?? [];
	if (kind === "sequential" && population === undefined) return kind;
	if (kind === "uniform" && population !== undefined && exponent === undefined) {
		return { uniform: { population: Number(population) } };
	}
	if (kind === "zipf" && exponent !== undefined) {
		return { zipf: { population: Number(population), exponent: Number(exponent) } };
	}
	if (kind !== undefined) {
		throw new Failure("expected `sequential`, `uniform:POPULATION` or `zipf:POPULATION:EXPONENT`", EXIT.usage);
	}
	const entities = readJson(text, FILE);
	if (!Array.isArray(entities)) throw new Failure(`\`${text}\` is not an array of ids`, EXIT.usage);
	return { recorded: { entities: entities.map(String) } };
}

/** The changes of the options to each scenario. */
function changesOf({
	entities,
	features,
	concurrency,
	rate,
	stages,
	requests,
	duration,
	warmUp,
	popularity,
	seed,
	timeout,
	scale,
}) {
	const changes = Object.fromEntries(
		Object.entries({
			entities_per_request: entities,
			features_per_request: features,
			concurrency,
			rate_per_second: rate,
			request_count: requests,
			duration_ms: duration && Math.ceil(duration * 1_000),
			warm_up_requests: warmUp,
			popularity: popularity && popularityOf(popularity),
			seed,
			timeout_ms: timeout,
		}).filter(([, value]) => value !== undefined),
	);
	if (duration !== undefined && requests === undefined) changes.request_count = undefined;
	if (stages !== undefined) Object.assign(changes, { stages, request_count: undefined, duration_ms: undefined });
	return { ...changes, scale };
}

/** What is measured: the popular load beside the origin, and the standard scenarios, cold and warm. */
function suiteOf(benchmark, options, hasOrigin) {
	const own = options.scenarios === undefined ? benchmark.scenarios() : [readJson(options.scenarios, FILE)].flat();
	const known = new Map(own.map((scenario) => [scenario?.name, scenario]));
	const names = options.only ?? [...known.keys()];
	const unknown = names.find((name) => !known.has(name));
	if (unknown !== undefined) {
		throw new Failure(
			`there is no scenario \`${unknown}\`: the known ones are ${[...known.keys()].join(", ")}`,
			EXIT.usage,
		);
	}
	const changes = changesOf(options);
	return names.map((name) => {
		const scenario = benchmark.compose(known.get(name), changes);
		if (name === POPULAR) {
			return { scenario, caches: ["warm"], served_by: hasOrigin ? ["featheredge", "origin"] : ["featheredge"] };
		}
		return { scenario, caches: ["cold", "warm"] };
	});
}

/** The target, and the same origin without Featheredge, where it can be asked. */
function targetsOf({ url, origin, originUrl = origin, l2, delay }) {
	const straight = originUrl && originTarget(originUrl, { token: process.env.FEATHEREDGE_ORIGIN_TOKEN });
	if (url !== undefined) {
		return { target: urlTarget(url, { token: bearerOf("FEATHEREDGE_TOKEN", url) }), origin: straight };
	}
	const computes = syntheticOrigin({ delay_ms: delay });
	return {
		target: engineTarget({
			createEngine,
			origin: originUrl === undefined ? computes : feastOrigin(originUrl),
			l2: l2 === "memory" ? memoryStore : undefined,
		}),
		origin: straight ?? originTarget(computes),
	};
}

/** The run that an option names: a file, an id of the history, `latest`, or `baseline`. */
async function earlierRun(benchmark, named, history) {
	if (named === undefined) return undefined;
	const stored = await findRun(history, named);
	if (stored !== undefined) return checkedRun(benchmark, stored, named);
	if (named === "latest") throw new Failure("the history has no run yet");
	if (named === "baseline")
		throw new Failure("the history has no baseline yet: `featheredge bench history baseline RUN` makes one");
	const read = readJson(named, FILE);
	return checkedRun(benchmark, read?.run ?? read, named);
}

/** One line of progress on a terminal. */
function showProgress(event) {
	const left = event.left_ms === undefined ? "" : `, ${Math.ceil(event.left_ms / 1_000)} s left`;
	const rate = event.rate_per_second === undefined ? "" : ` at ${Math.round(event.rate_per_second)}/s`;
	const by = event.served_by === "origin" ? "the origin alone" : `${event.caches} caches`;
	drawProgress(`${Math.round(event.share * 100)} %: ${event.scenario}${rate}, ${by}${left}`);
}

/** Writes a file that is whole or not there. */
function writeWhole(file, text) {
	const beside = `${file}.${process.pid}.tmp`;
	writeFileSync(beside, text);
	renameSync(beside, file);
}

function checkCombination({ findRate, budget, compare, baseline }) {
	if (findRate && (budget ?? compare ?? baseline) !== undefined) {
		throw new Failure("`--find-rate` takes neither `--budget` nor `--compare`", EXIT.usage);
	}
	if (baseline !== undefined && budget === undefined) {
		throw new Failure("`--baseline` is for `--budget`: use `--compare` to compare", EXIT.usage);
	}
}

/** Measures what the options say: a run, or the search for the highest rate, which has a run of its steps. */
async function measure(benchmark, options) {
	const { target, origin } = await withFailures(() => targetsOf(options));
	const suite = await withFailures(() => suiteOf(benchmark, options, origin !== undefined));
	let stopped;
	const onEvent = (event) => {
		if (event.type === "stopped") stopped = event.reason;
		else if (event.type === "progress" && options.format === "table") showProgress(event);
	};
	const settings = [
		...(options.url === undefined ? [{ name: "l2", value: options.l2 }] : []),
		...(options.url === undefined && options.origin === undefined
			? [{ name: "delay_ms", value: String(options.delay) }]
			: []),
		...(options.scale === 1 ? [] : [{ name: "scale", value: String(options.scale) }]),
	];
	const { name, notes, repeats, targets } = options;
	const common = { target, targets, onEvent, environment: { settings } };
	const act = options.findRate
		? () => benchmark.findHighestRate({ scenario: suite[0].scenario, ...common })
		: async () => ({ run: await benchmark.run({ suite, origin, repeats, name, notes, ...common }) });
	const measured = await withFailures(act).finally(clearProgress);
	return { ...measured, stopped };
}

export async function bench({ json, ...given }) {
	const options = { ...given, ...(json && { format: "json" }) };
	checkCombination(options);
	const benchmark = await createBenchmark();
	const history = historyOf();
	// Before the run, so that an invalid file fails at once.
	const budget =
		options.budget &&
		(await withFailures(() => benchmark.parseBudget(readJson(options.budget, FILE)), `\`${options.budget}\``));
	const compared = await earlierRun(benchmark, options.compare, history);
	const baseline = (await earlierRun(benchmark, options.baseline, history)) ?? compared;
	const isRelative = Object.values(budget?.scenarios ?? {}).some((limits) => limits.against_baseline !== undefined);
	if (isRelative && baseline === undefined) {
		throw new Failure(
			`\`${options.budget}\` has \`against_baseline\`: give the run to compare with by --baseline`,
			EXIT.usage,
		);
	}
	const { run, stopped, ...search } = await measure(benchmark, options);
	if (options.history) await history.save(run);
	if (options.save !== undefined) writeWhole(options.save, `${JSON.stringify(run)}\n`);
	const comparison = compared && (await withFailures(() => benchmark.compare(compared, run)));
	const checked =
		budget && (await withFailures(() => benchmark.checkBudget(run, budget, baseline), `\`${options.budget}\``));
	print(run, { search, compared, comparison, checked, format: options.format, repeats: options.repeats });
	if (search.steps !== undefined && (search.rate_per_second ?? undefined) === undefined) {
		throw new Failure("no rate keeps the targets");
	}
	if (stopped !== undefined) throw new Failure(stopped);
	const { succeeded, failures } = run.overall;
	if (succeeded === 0) {
		const kinds = failures.map(({ kind, count, cause }) => `${count} × ${kind}${cause ? ` (${cause})` : ""}`);
		throw new Failure(`no request succeeded: ${kinds.join(", ")}`);
	}
	if (checked !== undefined && !checked.is_met) {
		const missed = checked.checks.filter(({ is_met }) => !is_met).map(({ scenario, words }) => `${scenario}: ${words}`);
		throw new Failure(`the budget was missed: ${missed.join("; ")}`, EXIT.budget);
	}
}

function print(run, { search, compared, comparison, checked, format, repeats }) {
	const isSearch = search.steps !== undefined;
	if (format === "csv") return printLines(toCsv(run));
	if (format === "markdown") return printLines(toMarkdown(run));
	if (format === "json") {
		const more = { ...search, ...(comparison && { compared: comparison }), ...(checked && { budget: checked }) };
		return printJson(Object.keys(more).length === 0 ? run : { run, ...more });
	}
	if (isSearch) return printHighestRate(search);
	printRun(run, repeats);
	if (comparison !== undefined) printComparison(comparison, compared);
	if (checked !== undefined) printBudget(checked);
}
