// Reads the set-up's form: what is to be measured, in the benchmark's terms.

import { token } from "../../token.js";
import { COMPOSED } from "./fields.js";

/** k6's form of a stage: `30s:400`. */
const STAGE = /^(\d+(?:\.\d+)?)(ms|s|m):(\d+(?:\.\d+)?)$/;
const UNITS = { ms: 1, s: 1_000, m: 60_000 };

/** An entry of the form that cannot be measured. */
export class ChoiceError extends Error {
	/** @param {string} [field] the control's name */
	constructor(message, field) {
		super(message);
		this.field = field;
	}
}

/** Ramps, as `5s:400, 10s:400`. */
export function stagesOf(text) {
	return text.split(",").map((part) => {
		const [, length, unit, rate] = part.trim().match(STAGE) ?? [];
		if (length === undefined)
			throw new ChoiceError(`“${part.trim()}” is no stage: write its duration and its rate, such as 5s:400.`, "stages");
		return { duration_ms: Math.round(Number(length) * UNITS[unit]), rate_per_second: Number(rate) };
	});
}

async function popularityOf(data) {
	const kind = data.get("popularity");
	const population = Number(data.get("population"));
	if (kind === "uniform") return { uniform: { population } };
	if (kind === "zipf") return { zipf: { population, exponent: Number(data.get("exponent")) } };
	if (kind === "sequential") return kind;
	const lines = (await data.get("recorded").text()).split(/\r?\n/).map((line) => line.trim());
	return { recorded: { entities: lines.filter((line) => line !== "") } };
}

async function composed(data) {
	const numberOf = (name) => Number(data.get(name));
	const length = data.get("length") === "count" ? "request_count" : "duration_ms";
	const stages = data.get("stages")?.trim() ?? "";
	return {
		name: COMPOSED.name,
		description: "Composed in the page",
		...(stages === "" ? { [length]: numberOf(length) } : { stages: stagesOf(stages) }),
		entities_per_request: numberOf("entities_per_request"),
		features_per_request: numberOf("features_per_request"),
		concurrency: numberOf("concurrency"),
		...(data.get("loop") === "open" && { rate_per_second: numberOf("rate_per_second") }),
		priority: data.get("priority"),
		popularity: await popularityOf(data),
		warm_up_requests: numberOf("warm_up_requests"),
		seed: numberOf("seed"),
	};
}

function targetOf(data) {
	const kind = data.get("target");
	if (kind === "deployment") return { kind: "url", url: location.origin, token: token() };
	if (kind === "url") return { kind, url: data.get("url"), token: data.get("url_token") };
	const origin =
		data.get("origin") === "url" ? { origin: data.get("origin_url") } : { delay_ms: Number(data.get("delay_ms")) };
	return { kind, l2: data.get("l2"), ...origin };
}

/** Whether the origin is measured, too, and where it is if it is not the engine's own. */
function originOf(data) {
	if (data.get("straight") !== null) return { isMeasured: true };
	const url = data.get("compared_url") ?? "";
	return url === ""
		? { isMeasured: false }
		: { isMeasured: true, origin: { url, token: data.get("compared_token") ?? "" } };
}

/** Settings are exported with a run, and have no token. */
function settingsOf({ kind, url, token: _, ...settings }, data) {
	const named = { ...settings, scale: data.get("scale") ?? "1" };
	named.origin_call_usd_per_million = data.get("origin_call_usd_per_million");
	return Object.entries(named).map(([name, value]) => ({ name, value: String(value) }));
}

/**
 * What the form describes: the task of the Web Worker, and its options.
 *
 * @param {HTMLFormElement} form
 * @param {any[]} known the scenarios that have a name
 * @returns {Promise<{ task: "run" | "findHighestRate", options: any }>}
 */
export async function chosen(form, known) {
	const data = new FormData(form);
	const numberOf = (name) => Number(data.get(name));
	const names = data.getAll("scenario");
	const scenarios = known.filter(({ name }) => names.includes(name));
	if (names.includes(COMPOSED.name)) scenarios.push(await composed(data));
	if (scenarios.length === 0) throw new ChoiceError("Choose at least one scenario.");
	const timed = scenarios.map((scenario) => ({ ...scenario, timeout_ms: numberOf("timeout_ms") }));
	const target = targetOf(data);
	const targets = {
		p50_ms: numberOf("p50_ms"),
		p95_ms: numberOf("p95_ms"),
		p99_ms: numberOf("p99_ms"),
		availability: numberOf("availability") / 100,
		error_rate: numberOf("error_rate") / 100,
	};
	const common = { target, targets, settings: settingsOf(target, data) };
	if (data.get("task") === "findHighestRate") {
		if (timed.length > 1) throw new ChoiceError("Choose one scenario whose rate is raised.");
		const [min_rate, max_rate] = [numberOf("min_rate"), numberOf("max_rate")];
		if (min_rate >= max_rate) throw new ChoiceError("The highest rate is not above the lowest.", "max_rate");
		return {
			task: "findHighestRate",
			options: { ...common, scenario: timed[0], min_rate, max_rate, step_ms: numberOf("step_ms") },
		};
	}
	const caches = data.getAll("caches");
	if (caches.length === 0) throw new ChoiceError("Choose cold caches, warm ones, or both.");
	const { isMeasured, origin } = originOf(data);
	const served_by = isMeasured ? ["featheredge", "origin"] : ["featheredge"];
	const suite = timed.map((scenario) => ({ scenario, caches, served_by }));
	const [name, notes] = ["run_name", "notes"].map((field) => data.get(field).trim() || undefined);
	return {
		task: "run",
		options: {
			...common,
			origin,
			suite,
			repeats: numberOf("repeats"),
			scale: numberOf("scale"),
			name,
			notes,
		},
	};
}
