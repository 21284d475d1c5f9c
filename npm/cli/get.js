// `featheredge get`: one request, and a table of what came.

import { parse, stringify } from "../src/json.js";
import { entitiesOf } from "./entities.js";
import { EXIT, Failure } from "./failure.js";
import { tableOf } from "./table.js";
import { ask, makeEngine } from "./world.js";

/** How much of a value a table shows: an embedding is longer than any screen. */
const SHOWN = 40;

/** What is asked for, from `--entities a,b` or `--entities user_id=1,2`, and `--features` or `--service`. */
export function requestOf({ entities, features, service, priority, maxStaleness, consistency }) {
	const { ids, columns } = entitiesOf(entities);
	if ((features === undefined) === (service === undefined)) {
		throw new Failure("give either `--features` or `--service`", EXIT.usage);
	}
	return {
		...(ids === undefined ? { entities: columns } : { entity_ids: ids }),
		...(service === undefined
			? { feature_names: features.flatMap((text) => text.split(",")) }
			: { feature_service: service }),
		...(priority !== undefined && { priority }),
		...(maxStaleness !== undefined && { max_staleness_seconds: maxStaleness }),
		...(consistency !== undefined && { consistency_level: consistency }),
		include: ["status", "age", "tier"],
	};
}

function shown(value) {
	const text = typeof value === "string" ? value : stringify(value);
	return text.length > SHOWN ? `${text.slice(0, SHOWN - 1)}…` : text;
}

const age = (millis) =>
	millis === undefined ? "" : millis < 10_000 ? `${millis} ms` : `${Math.round(millis / 1_000)} s`;

export async function get(options) {
	const request = stringify(requestOf(options));
	let text;
	if (options.url !== undefined) {
		text = await ask(options.url, "/v1/features", request);
	} else {
		const world = await makeEngine(options);
		try {
			text = new TextDecoder().decode(await world.engine.serveBytes(new TextEncoder().encode(request)));
		} finally {
			await world.close();
		}
	}
	if (options.json) return console.log(text);
	const answer = parse(text);
	const rows = [];
	for (const [entity, features] of Object.entries(answer.features)) {
		for (const [feature, { value, status, age_ms: millis, tier }] of Object.entries(features)) {
			rows.push([entity, feature, shown(value), status, age(millis), tier ?? ""]);
		}
	}
	console.log(tableOf(["entity", "feature", "value", "status", "age", "tier"], rows));
	const { latency_ms: latency, quality_metrics: quality, metadata } = answer;
	console.log(`${latency} ms, ${metadata.serving_strategy}, ${Math.round(quality.completeness * 100)} % complete`);
}
