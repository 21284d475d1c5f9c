// The fields of the set-up, each with its label, and when each is offered.

import { breakable, el } from "../../dom.js";
import { many } from "../words.js";

/** The composed scenario's name, and what its fields say at first: a skewed load. */
export const COMPOSED = {
	name: "composed",
	request_count: 2_000,
	entities_per_request: 5,
	features_per_request: 10,
	concurrency: 20,
	population: 2_000,
	exponent: 0.99,
	rate_per_second: 400,
	duration_ms: 5_000,
	warm_up_requests: 0,
	seed: 1,
};

const POPULARITIES = [
	["zipf", "Zipf"],
	["uniform", "Uniform"],
	["sequential", "Sequential, without repeats"],
	["recorded", "Recorded file"],
];
const LOOPS = [
	["closed", "Closed"],
	["open", "Open"],
];
const LENGTHS = [
	["count", "By count"],
	["duration", "By duration"],
];
const SCALES = [
	["1", "Whole"],
	["0.25", "A quarter"],
	["0.1", "A tenth"],
];
const TASKS = [
	["run", "Measure the scenarios"],
	["findHighestRate", "Find the highest rate that keeps the targets"],
];
const TARGETS = [
	["engine", "This page’s engine", "in a Web Worker, with its own L1 and L2"],
	["deployment", "This deployment", "the Worker that served this page"],
	["url", "Another URL", "a deployment that allows this page (CORS)"],
];
const STORES = [
	["memory", "Memory"],
	["indexeddb", "IndexedDB"],
	["none", "None"],
];
const ORIGINS = [
	["synthetic", "Synthetic"],
	["url", "A URL"],
];
const PRIORITIES = ["normal", "low", "high", "critical"].map((name) => [name, name]);

/** @param {[string, string][]} choices */
const select = (name, choices) =>
	el("select", { name }, ...choices.map(([value, text]) => el("option", { value }, text)));

const field = (label, control, hint) =>
	el("label.field", {}, el("span", {}, label), control, hint && el("span.field-hint", {}, hint));

/** A field for what is long. */
const wide = (...args) => {
	const element = field(...args);
	element.classList.add("wide");
	return element;
};

const number = (name, value, attributes = {}) =>
	el("input", { type: "number", name, value, min: 1, step: 1, required: true, inputmode: "numeric", ...attributes });

const decimal = (name, value, attributes) => number(name, value, { step: "any", inputmode: "decimal", ...attributes });

const url = (name, attributes = {}) => el("input", { type: "url", name, placeholder: "https://", ...attributes });

const secret = (name) => el("input", { type: "password", name, autocomplete: "off" });

const check = (name, value, label, isChecked = false) =>
	el("label.check", {}, el("input", { type: "checkbox", name, value, checked: isChecked }), label);

const group = (title, ...content) => el("fieldset", {}, el("legend", {}, title), ...content);

const rowOf = (...fields) => el("div.row", {}, ...fields);

/** Shows the fields of a choice, and disables the others. */
function offer(fields, isOffered) {
	fields.hidden = !isOffered;
	for (const control of fields.querySelectorAll("input, select, textarea")) control.disabled = !isOffered;
}

/**
 * Fills the form, and has it follow its choices.
 *
 * @param {HTMLFormElement} form
 * @param {any[]} scenarios the known ones
 */
export function makeFields(form, scenarios) {
	const all = [...scenarios, { ...COMPOSED, description: "A load of your own" }];
	const parts = [composer(), ...searched(), target(), amounts()];
	const [compose, search, repetitions, where] = parts;
	form.append(
		group("Scenarios", el("div.cards", {}, ...all.map((scenario, index) => card(scenario, index === 0)))),
		compose.element,
		where.element,
		group("What to do", rowOf(wide("Task", select("task", TASKS))), search.element, repetitions.element),
		parts[4].element,
		group(
			"Record",
			rowOf(
				wide("Name", el("input", { type: "text", name: "run_name", maxlength: 100 })),
				wide("Notes", el("textarea", { name: "notes", rows: 2, maxlength: 2000 })),
			),
		),
	);
	const follow = () => {
		for (const part of parts) part.follow(form);
	};
	form.addEventListener("change", follow);
	follow();
	return follow;
}

function card(scenario, isChecked) {
	const { name, description } = scenario;
	const id = `scenario-${name}`;
	const words = `${id}-words`;
	return el(
		"div.card",
		{},
		el("input", { type: "checkbox", name: "scenario", value: name, id, checked: isChecked, "aria-describedby": words }),
		el("label", { for: id }, ...breakable(name)),
		el("p", { id: words }, el("span.figure", {}, size(scenario)), el("span", {}, description)),
	);
}

function size({ name, request_count, duration_ms, entities_per_request, features_per_request, concurrency }) {
	if (name === COMPOSED.name) return "any popularity, ramps, closed or open loop";
	const length = request_count === undefined ? `${duration_ms / 1000} s of requests` : many(request_count, "request");
	const asked = `${many(entities_per_request, "entity", "entities")} × ${many(features_per_request, "feature")}`;
	return `${length} for ${asked}, ${concurrency} concurrent`;
}

function composer() {
	const population = field("Population", number("population", COMPOSED.population));
	const exponent = field("Exponent", decimal("exponent", COMPOSED.exponent, { min: 0.01, max: 10 }));
	const file = el("input", { type: "file", name: "recorded", accept: ".txt,.csv,text/plain", required: true });
	const recorded = field("File", file, "one entity id per line");
	const rate = field("Per second", number("rate_per_second", COMPOSED.rate_per_second, { max: 100_000 }));
	const length = field("Length", select("length", LENGTHS));
	const stages = wide(
		"Stages",
		el("input", { type: "text", name: "stages", maxlength: 500, placeholder: "5s:400, 10s:400, 5s:0" }),
		"ramps, as duration:rate; replace the length",
	);
	const count = field("Requests", number("request_count", COMPOSED.request_count, { max: 1_000_000 }));
	const duration = field("Milliseconds", number("duration_ms", COMPOSED.duration_ms, { max: 3_600_000 }));
	const fields = [
		field("Entities", number("entities_per_request", COMPOSED.entities_per_request, { max: 10_000 }), "per request"),
		field("Features", number("features_per_request", COMPOSED.features_per_request, { max: 1_000 }), "per request"),
		field("Popularity", select("popularity", POPULARITIES)),
		population,
		exponent,
		recorded,
		field("Loop", select("loop", LOOPS), "open: at a rate"),
		rate,
		stages,
		field("Concurrency", number("concurrency", COMPOSED.concurrency, { max: 1_000 })),
		length,
		count,
		duration,
		field("Warm-up", number("warm_up_requests", COMPOSED.warm_up_requests, { min: 0 }), "not measured"),
		field("Priority", select("priority", PRIORITIES)),
		field("Seed", number("seed", COMPOSED.seed, { min: 0 })),
	];
	const element = group("Compose", rowOf(...fields));
	return {
		element,
		follow(form) {
			const isChosen = new FormData(form).getAll("scenario").includes(COMPOSED.name);
			offer(element, isChosen);
			if (!isChosen) return;
			// Read with the fields that are enabled by now.
			const now = new FormData(form);
			const popularity = now.get("popularity");
			const isOpen = now.get("loop") === "open";
			const hasStages = isOpen && now.get("stages").trim() !== "";
			offer(population, popularity === "uniform" || popularity === "zipf");
			offer(exponent, popularity === "zipf");
			offer(recorded, popularity === "recorded");
			offer(rate, isOpen);
			offer(stages, isOpen);
			offer(length, !hasStages);
			offer(count, !hasStages && now.get("length") === "count");
			offer(duration, !hasStages && now.get("length") === "duration");
		},
	};
}

function searched() {
	const search = rowOf(
		field("Lowest rate", number("min_rate", 100, { max: 100_000 }), "requests per second"),
		field("Highest rate", number("max_rate", 5_000, { max: 100_000 })),
		field("Each step", number("step_ms", 2_000, { min: 200, max: 600_000 }), "milliseconds"),
	);
	const repetitions = el(
		"div",
		{},
		rowOf(
			field("Repetitions", number("repeats", 1, { max: 50 }), "3 or more estimate the noise"),
			field("Scale", select("scale", SCALES), "share of requests"),
		),
		el(
			"fieldset.checks",
			{},
			el("legend", {}, "Caches"),
			check("caches", "cold", "Cold", true),
			check("caches", "warm", "Warm"),
		),
	);
	const isSearch = (form) => new FormData(form).get("task") === "findHighestRate";
	return [
		{ element: search, follow: (form) => offer(search, isSearch(form)) },
		{ element: repetitions, follow: (form) => offer(repetitions, !isSearch(form)) },
	];
}

function target() {
	const radios = TARGETS.map(([value, name, words], index) => {
		const id = `target-${value}`;
		const described = `${id}-words`;
		return el(
			"div.choice",
			{},
			el("input", { type: "radio", name: "target", value, id, checked: index === 0, "aria-describedby": described }),
			el("label", { for: id }, name),
			el("p", { id: described }, words),
		);
	});
	const other = rowOf(
		wide("URL", url("url", { required: true, "aria-describedby": "target-fault" })),
		wide("Bearer token", secret("url_token"), "if needed; not stored"),
	);
	const origin = wide("Origin URL", url("origin_url", { required: true, "aria-describedby": "target-fault" }));
	const delay = field("Delay", number("delay_ms", 10, { min: 0, max: 10_000 }), "ms per request");
	const engine = rowOf(field("L2", select("l2", STORES)), field("Origin", select("origin", ORIGINS)), delay, origin);
	const straight = el("div.checks", {}, check("straight", "engine", "Also measure its origin alone"));
	const compared = rowOf(
		wide("Origin to compare with", url("compared_url"), "optional: measured alone, too"),
		wide("Its bearer token", secret("compared_token"), "if needed; not stored"),
	);
	const fault = el("p.hint", { id: "target-fault", role: "alert" });
	return {
		element: group("Target", el("div.choices", {}, ...radios), engine, straight, other, compared, fault),
		follow(form) {
			const data = new FormData(form);
			const kind = data.get("target");
			const isEngine = kind === "engine";
			const isRun = data.get("task") !== "findHighestRate";
			offer(engine, isEngine);
			offer(straight, isEngine && isRun);
			offer(other, kind === "url");
			offer(compared, !isEngine && isRun);
			if (!isEngine) return;
			const isBuiltIn = new FormData(form).get("origin") === "synthetic";
			offer(delay, isBuiltIn);
			offer(origin, !isBuiltIn);
		},
	};
}

function amounts() {
	return {
		element: group(
			"Targets and limits",
			rowOf(
				field("Median", decimal("p50_ms", 20, { min: 0.001 }), "ms at most"),
				field("p95", decimal("p95_ms", 50, { min: 0.001 }), "ms at most"),
				field("p99", decimal("p99_ms", 100, { min: 0.001 }), "ms at most"),
				field("Availability", decimal("availability", 99.9, { min: 0, max: 100 }), "% at least"),
				field("Error rate", decimal("error_rate", 0.1, { min: 0, max: 100 }), "% at most"),
				field("Timeout", number("timeout_ms", 5_000, { max: 60_000 }), "ms, then a request has failed"),
				field(
					"Origin’s price",
					decimal("origin_call_usd_per_million", 0.3, { min: 0, max: 1_000_000 }),
					"$ per million calls",
				),
			),
		),
		follow() {},
	};
}
