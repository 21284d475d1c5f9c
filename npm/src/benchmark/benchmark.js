// The benchmark: its scenarios, its runs, and what is said of them.

import * as module from "featheredge-benchmark";
import { checkBudget, partsOf } from "./budget.js";
import { BenchmarkError, withCode } from "./errors.js";
import { checkTargets, measureUnits, randomName } from "./suite.js";

/** The most bytes of an export, as text. */
const MAX_EXPORT_BYTES = 8 << 20;
/** The seed of a comparison's resampling, fixed so that the same runs give the same result. */
const COMPARISON_SEED = 1;
/** The most repetitions of a scenario: an export has no more. */
const MAX_REPEATS = 100;
/** What a search measures at each rate, in milliseconds, and the most requests in flight: latency then tells, and not the client. */
const STEP_MS = 2_000;
const SEARCH_CONCURRENCY = 1_000;

const CACHES = ["cold", "warm"];
const SERVED_BY = ["featheredge", "origin"];

/** The fields of a scenario: the module reads these and would ignore a misspelt one. */
const FIELDS = [
	...["name", "description", "request_count", "duration_ms", "entities_per_request", "features_per_request"],
	...["concurrency", "rate_per_second", "stages", "timeout_ms", "priority", "popularity", "warm_up_requests", "seed"],
];

const isText = (value) => typeof value === "string";

/** A list of distinct known values. */
function choices(name, given, known) {
	if (!Array.isArray(given) || given.length === 0 || given.some((value) => !known.includes(value))) {
		throw new BenchmarkError(
			"invalid-options",
			`\`${name}\` is a list of ${known.map((value) => `"${value}"`).join(" and ")}`,
		);
	}
	return known.filter((value) => given.includes(value));
}

function checkNumber(name, value, isValid, wanted) {
	if (typeof value !== "number" || !isValid(value))
		throw new BenchmarkError("invalid-options", `\`${name}\` is ${wanted}`);
	return value;
}

export class Benchmark {
	#scenarios;
	#framework = module.framework();
	#environment;

	/** @param {() => object} environment what is known of the host */
	constructor(environment) {
		const { scenarios, schema, version, history_limit, product_version, targets } = this.#framework;
		this.#scenarios = new Map(scenarios.map((scenario) => [scenario.name, scenario]));
		this.#environment = environment;
		this.constants = Object.freeze({ schema, version, history_limit, product_version, targets });
	}

	scenarios() {
		return structuredClone([...this.#scenarios.values()]);
	}

	scenario(name) {
		const found = this.#scenarios.get(name);
		if (found !== undefined) return structuredClone(found);
		const known = [...this.#scenarios.keys()].join(", ");
		throw new BenchmarkError("unknown-scenario", `there is no scenario \`${name}\`: the known ones are ${known}`);
	}

	register(scenario) {
		const checked = this.#checked(scenario);
		if (this.#scenarios.has(checked.name)) {
			throw new BenchmarkError("duplicate-scenario", `there is a scenario \`${checked.name}\` already`);
		}
		this.#scenarios.set(checked.name, checked);
		return structuredClone(checked);
	}

	compose(base, { scale = 1, ...changes } = {}) {
		const own = isText(base) ? this.scenario(base) : base;
		// An undefined field takes the base's away.
		const entries = Object.entries({ ...own, ...changes }).filter(([, value]) => value !== undefined);
		return this.#scaled(Object.fromEntries(entries), scale);
	}

	async run({
		suite,
		repeats = 1,
		scale = 1,
		target,
		origin,
		targets,
		name,
		notes,
		environment = {},
		signal,
		onEvent = () => {},
	} = {}) {
		checkNumber(
			"repeats",
			repeats,
			(value) => Number.isInteger(value) && value >= 1 && value <= MAX_REPEATS,
			`1 to ${MAX_REPEATS}`,
		);
		const units = this.#unitsOf(suite, scale);
		const isAsked = (who) => units.some(({ served_by }) => served_by === who);
		if (isAsked("origin") && origin === undefined) {
			throw new BenchmarkError(
				"invalid-options",
				"a load that the origin serves needs `origin`, made by `originTarget`",
			);
		}
		const measured = { featheredge: target, origin };
		const startedAt = new Date();
		await checkTargets(
			SERVED_BY.filter(isAsked).map((who) => measured[who]),
			signal,
		);
		onEvent({ type: "checked" });
		await measureUnits({ units, targets: measured, repeats, signal, onEvent });
		const scenarios = units.flatMap(({ scenario, served_by, passes }) =>
			passes.map(({ caches, repeats }) => ({ scenario, caches, served_by, repeats })),
		);
		return this.#summarized({
			...{ scenarios, startedAt, targets, name, notes },
			environment: { ...environment, target: (target ?? origin).name },
		});
	}

	async findHighestRate({
		scenario: base,
		target,
		targets,
		min_rate: min = 50,
		max_rate: max = 100_000,
		step_ms: step = STEP_MS,
		environment = {},
		signal,
		onEvent = () => {},
	} = {}) {
		const isPositive = (value) => value > 0 && value < Number.POSITIVE_INFINITY;
		for (const [name, value] of Object.entries({ min_rate: min, max_rate: max, step_ms: step })) {
			checkNumber(name, value, isPositive, "a number above 0");
		}
		const scenario = isText(base) ? this.scenario(base) : base;
		const startedAt = new Date();
		await checkTargets([target], signal);
		onEvent({ type: "checked" });
		const search = new module.RateSearch(min, max);
		const scenarios = [];
		const steps = [];
		try {
			for (let rate = search.next(); rate !== undefined; rate = search.next()) {
				const load = this.compose(scenario, {
					name: `${scenario.name} at ${Number(rate.toPrecision(3))}/s, step ${steps.length + 1}`,
					// A stage at one rate: the warm-up before it is a closed loop, and not at the rate that is tried.
					...{ rate_per_second: rate, stages: [{ duration_ms: step, rate_per_second: rate }] },
					...{ duration_ms: undefined, request_count: undefined },
					concurrency: Math.max(scenario.concurrency, SEARCH_CONCURRENCY),
				});
				const unit = { scenario: load, served_by: "featheredge", passes: [{ caches: "warm", repeats: [] }] };
				await measureUnits({
					...{ units: [unit], targets: { featheredge: target }, repeats: 1, signal },
					// A rate at which all requests fail is one that misses the objectives.
					onEvent: (event) =>
						event.type !== "stopped" && onEvent({ ...event, rate_per_second: rate, step: steps.length }),
				});
				const measured = { scenario: load, caches: "warm", served_by: "featheredge", repeats: unit.passes[0].repeats };
				scenarios.push(measured);
				const { summary } = this.#summarized({ scenarios: [measured], startedAt, targets, environment }).scenarios[0];
				const missed = summary.verdicts.filter(({ is_met }) => is_met !== true).map(({ name }) => name);
				steps.push({
					...{ rate_per_second: rate, is_met: missed.length === 0, missed },
					...{ p99_ms: summary.p99_ms, error_rate: summary.error_rate, throughput: summary.throughput },
				});
				search.report(missed.length === 0);
			}
			return {
				rate_per_second: search.result() ?? null,
				is_limited_by_max: search.isLimitedByMax(),
				steps,
				run: this.#summarized({
					...{ scenarios, startedAt, targets, name: `Highest rate of ${scenario.name}` },
					environment: { ...environment, target: target.name },
				}),
			};
		} finally {
			search.free();
		}
	}

	compare(baseline, run) {
		return withCode("invalid-run", () => module.compare(baseline, run, COMPARISON_SEED));
	}

	parse(given) {
		const value = isText(given) ? parsedText(given) : given;
		const { version } = this.#framework;
		if (Number.isInteger(value?.version) && value.version > version) {
			throw new BenchmarkError(
				"invalid-run",
				`the run has version ${value.version}, and versions up to ${version} are read`,
			);
		}
		// Each repetition takes kilobytes in the module, however short its text is.
		const scenarios = Array.isArray(value?.scenarios) ? value.scenarios : [];
		const count = scenarios.reduce((sum, one) => sum + (Array.isArray(one?.repeats) ? one.repeats.length : 0), 0);
		if (count > this.#framework.max_repeats) {
			throw new BenchmarkError(
				"invalid-run",
				`there are ${count} repetitions, and at most ${this.#framework.max_repeats} are read`,
			);
		}
		return withCode("invalid-run", () => module.summarize(value));
	}

	parseBudget(given) {
		const budget = isText(given) ? parsedText(given) : given;
		partsOf(budget);
		return budget;
	}

	checkBudget(run, budget, baseline) {
		return checkBudget(run, budget, baseline);
	}

	#checked(scenario) {
		checkFields(scenario);
		return withCode("invalid-scenario", () => module.checkScenario(scenario));
	}

	#scaled(scenario, scale) {
		checkNumber("scale", scale, (value) => value > 0 && value <= 1, "a number above 0, up to 1");
		checkFields(scenario);
		return withCode("invalid-scenario", () => module.scaledScenario(scenario, scale));
	}

	#unitsOf(suite, scale) {
		if (!Array.isArray(suite) || suite.length === 0) {
			throw new BenchmarkError("invalid-options", "`suite` is a list of scenarios, or of their names");
		}
		const seen = new Set();
		return suite.flatMap((entry) => {
			const {
				scenario: given,
				caches = ["cold"],
				served_by = ["featheredge"],
			} = isText(entry) || entry?.scenario === undefined ? { scenario: entry } : entry;
			const scenario = this.#scaled(isText(given) ? this.scenario(given) : given, scale);
			return choices("served_by", served_by, SERVED_BY).map((who) => ({
				// An origin has no caches to warm, but connections to open.
				scenario:
					who === "origin"
						? { ...scenario, warm_up_requests: Math.min(scenario.warm_up_requests, scenario.concurrency) }
						: scenario,
				served_by: who,
				passes: choices("caches", caches, CACHES).map((caches) => {
					const identity = `${scenario.name} ${caches} ${who}`;
					if (seen.has(identity)) throw new BenchmarkError("invalid-options", `the suite has \`${identity}\` twice`);
					seen.add(identity);
					return { caches, repeats: [] };
				}),
			}));
		});
	}

	#summarized({ scenarios, startedAt, targets, name, notes, environment }) {
		const { schema, version, product_version } = this.#framework;
		return withCode("invalid-options", () =>
			module.summarize({
				...{ schema, version, product_version },
				id: `${startedAt.getTime().toString(36)}-${randomName()}`,
				started_at: startedAt.toISOString(),
				...(name !== undefined && { name }),
				...(notes !== undefined && { notes }),
				environment: { settings: [], target: "", ...this.#environment(), ...environment },
				targets: { ...this.#framework.targets, ...targets },
				scenarios,
			}),
		);
	}
}

function checkFields(scenario) {
	const unknown = Object.keys(scenario ?? {}).find((name) => !FIELDS.includes(name));
	if (unknown === undefined) return;
	throw new BenchmarkError("invalid-scenario", `\`${unknown}\` is not known: a scenario has ${FIELDS.join(", ")}`);
}

function parsedText(text) {
	if (text.length > MAX_EXPORT_BYTES) {
		throw new BenchmarkError(
			"invalid-run",
			`the text has more than ${MAX_EXPORT_BYTES >> 20} MiB: an export is smaller`,
		);
	}
	try {
		return JSON.parse(text);
	} catch {
		throw new BenchmarkError("invalid-run", "this is no JSON");
	}
}
