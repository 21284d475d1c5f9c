// What a scripted origin answers where a real Feast would: a value for each feature and row, made of both names, so that a mix-up shows.

/** The path of Feast's own API for online features. */
export const FEAST = "/get-online-features";

/** The value of a feature of an entity, as the scripted origin has it. */
export const valueFor = (feature, entity) => `${feature} of ${entity}`;

/**
 * The answer of a Feast server to one request for features, keyed by its first entity column.
 *
 * @param {import("./origin.mjs").OriginRequest} request
 * @returns {import("./origin.mjs").OriginAnswer}
 */
export function answerFeatures({ json }) {
	const [[column, rows]] = Object.entries(json.entities);
	const shortName = (reference) => reference.split(":").at(-1);
	const time = "2026-01-02T03:04:05Z";
	const result = (values, event) => ({
		values,
		statuses: values.map(() => "PRESENT"),
		event_timestamps: values.map(() => event),
	});
	return {
		json: {
			results: [
				result(rows, "1970-01-01T00:00:00Z"),
				...json.features.map((feature) =>
					result(
						rows.map((row) => valueFor(shortName(feature), row)),
						time,
					),
				),
			],
			metadata: {
				feature_names: [
					column,
					...json.features.map((feature) =>
						json.full_feature_names ? feature.replace(":", "__") : shortName(feature),
					),
				],
			},
		},
	};
}

/** An origin whose features' values say how many writes came before, and what counts these. */
export function countingWrites() {
	let writes = 0;
	return {
		writes: () => writes,
		/** @param {import("./origin.mjs").OriginRequest} request */
		answer(request) {
			if (!request.path.startsWith(FEAST)) {
				writes += 1;
				return { status: 200, body: "null", headers: { "x-own": "yes" } };
			}
			const reply = answerFeatures(request);
			for (const result of reply.json.results.slice(1))
				result.values = result.values.map((value) => `${value}, ${writes}`);
			return reply;
		},
	};
}

/** A request of Feast's form: features of the view `stats` for drivers. */
export const ask = (features, drivers) => ({
	features: features.map((feature) => `stats:${feature}`),
	entities: { driver_id: drivers },
});

/** How many of something: `range(3)` is 0, 1, 2. */
export const range = (count, from = 0) => Array.from({ length: count }, (_, index) => from + index);

/** The values of one feature in an answer of Feast's form. */
export const column = (answer, feature) => answer.results[answer.metadata.feature_names.indexOf(feature)].values;

/** The statuses of one feature in an answer of Feast's form. */
export const statuses = (answer, feature) => answer.results[answer.metadata.feature_names.indexOf(feature)].statuses;
