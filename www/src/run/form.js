// The form of a run: scenarios and target.

import { breakable, el } from "../dom.js";
import { token } from "../token.js";

/** The defaults of a composed scenario: a skewed load, unlike the original specification's four. */
const COMPOSED = {
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
const TARGETS = [
	["engine", "This page’s engine", "in a Web Worker, with its own L1 and L2"],
	["deployment", "This deployment", "the Worker that served this page"],
	["url", "Another URL", "a deployment that allows this page (CORS)"],
];
const STORES = [
	["indexeddb", "IndexedDB"],
	["memory", "Memory"],
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

const number = (name, value, attributes = {}) =>
	el("input", { type: "number", name, value, min: 1, step: 1, required: true, inputmode: "numeric", ...attributes });

/** Shows the fields of a choice, and disables the others. */
function offer(fields, isOffered) {
	fields.hidden = !isOffered;
	for (const control of fields.querySelectorAll("input, select")) control.disabled = !isOffered;
}

/**
 * @param {HTMLFormElement} form
 * @param {any[]} scenarios the default ones
 */
export function makeForm(form, scenarios) {
	const cards = scenarios.map((scenario) => card(scenario, true));
	const composer = compose();
	const target = targetFields();
	form.append(
		el(
			"fieldset",
			{},
			el("legend", {}, "Scenarios"),
			el("div.cards", {}, ...cards, card({ ...COMPOSED, description: "A load of your own" }, false)),
		),
		composer.element,
		target.element,
		el(
			"fieldset",
			{},
			el("legend", {}, "Amount"),
			el(
				"div.row",
				{},
				field("Repetitions", number("repeats", 5, { max: 50 }), "3 or more estimate the noise"),
				field("Scale", select("scale", SCALES), "share of requests"),
			),
		),
		el(
			"div.actions",
			{},
			el("button.primary", { type: "submit", id: "start" }, "Start"),
			el("button.quiet", { type: "button", id: "cancel", hidden: true }, "Cancel"),
		),
		el("p.hint", { id: "run-hint", role: "alert" }),
	);
	const follow = () => {
		const isComposed = new FormData(form).getAll("scenario").includes(COMPOSED.name);
		offer(composer.element, isComposed);
		// Read again, with the enabled fields.
		if (isComposed) composer.follow(new FormData(form));
		target.follow(form);
	};
	form.addEventListener("change", follow);
	follow();
}

function card(
	{ name, description, request_count, entities_per_request, features_per_request, concurrency },
	isChecked,
) {
	const size =
		name === COMPOSED.name
			? "any popularity, closed or open loop"
			: `${request_count} × ${entities_per_request} × ${features_per_request}, ${concurrency} concurrent`;
	const id = `scenario-${name}`;
	const words = `${id}-words`;
	return el(
		"div.card",
		{},
		el("input", { type: "checkbox", name: "scenario", value: name, id, checked: isChecked, "aria-describedby": words }),
		el("label", { for: id }, ...breakable(name)),
		el("p", { id: words }, el("span.figure", {}, size), el("span", {}, description)),
	);
}

function compose() {
	const population = field("Population", number("population", COMPOSED.population));
	const exponent = field(
		"Exponent",
		number("exponent", COMPOSED.exponent, { min: 0.01, max: 10, step: "any", inputmode: "decimal" }),
	);
	const file = el("input", { type: "file", name: "recorded", accept: ".txt,.csv,text/plain", required: true });
	const recorded = field("File", file, "one entity id per line");
	const rate = field("Per second", number("rate_per_second", COMPOSED.rate_per_second, { max: 100_000 }));
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
		field("Concurrency", number("concurrency", COMPOSED.concurrency, { max: 1_000 })),
		field("Length", select("length", LENGTHS)),
		count,
		duration,
		field("Warm-up", number("warm_up_requests", COMPOSED.warm_up_requests, { min: 0 }), "not measured"),
		field("Priority", select("priority", PRIORITIES)),
		field("Seed", number("seed", COMPOSED.seed, { min: 0 })),
	];
	return {
		element: el("fieldset", {}, el("legend", {}, "Compose"), el("div.row", {}, ...fields)),
		follow(data) {
			const popularity = data.get("popularity");
			offer(population, popularity === "uniform" || popularity === "zipf");
			offer(exponent, popularity === "zipf");
			offer(recorded, popularity === "recorded");
			offer(rate, data.get("loop") === "open");
			offer(count, data.get("length") === "count");
			offer(duration, data.get("length") === "duration");
		},
	};
}

function targetFields() {
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
	const url = el(
		"div.row.wide",
		{},
		field("URL", el("input", { type: "url", name: "url", required: true, placeholder: "https://" })),
		field(
			"Bearer token",
			el("input", { type: "password", name: "url_token", autocomplete: "off" }),
			"if needed; not stored",
		),
	);
	const origin = field(
		"Origin URL",
		el("input", { type: "url", name: "origin_url", required: true, placeholder: "https://" }),
	);
	const delay = field("Delay", number("delay_ms", 10, { min: 0, max: 10_000 }), "ms per request");
	const engine = el(
		"div.row",
		{},
		field("L2", select("l2", STORES)),
		field("Origin", select("origin", ORIGINS)),
		delay,
		origin,
	);
	return {
		element: el("fieldset", {}, el("legend", {}, "Target"), el("div.choices", {}, ...radios), engine, url),
		follow(form) {
			const kind = new FormData(form).get("target");
			offer(engine, kind === "engine");
			offer(url, kind === "url");
			if (kind !== "engine") return;
			const isBuiltIn = new FormData(form).get("origin") === "synthetic";
			offer(delay, isBuiltIn);
			offer(origin, !isBuiltIn);
		},
	};
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
	return {
		name: COMPOSED.name,
		description: "Composed in the page",
		[length]: numberOf(length),
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

/**
 * The run that the form describes.
 *
 * @param {HTMLFormElement} form
 * @param {any[]} scenarios the default ones
 */
export async function chosen(form, scenarios) {
	const data = new FormData(form);
	const names = data.getAll("scenario");
	const known = scenarios.filter(({ name }) => names.includes(name));
	// Settings are exported with a run, and must not contain a token.
	const { kind, url, token, ...settings } = targetOf(data);
	return {
		scenarios: names.includes(COMPOSED.name) ? [...known, await composed(data)] : known,
		repeats: Number(data.get("repeats")),
		scale: Number(data.get("scale")),
		target: { kind, url, token, ...settings },
		settings: Object.entries({ ...settings, scale: data.get("scale") }).map(([name, value]) => ({
			name,
			value: String(value),
		})),
	};
}
