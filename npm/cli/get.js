// `featheredge get`: sends one request, and prints its response as a table.

import { stringify } from "../src/json.js";
import { anything, checked, mapOf, number, object, optional, parseJson, string } from "./answer.js";
import { send } from "./client.js";
import { connectEngine } from "./connections.js";
import { entitiesOf } from "./entities.js";
import { EXIT, Failure } from "./failure.js";
import { print, printJson } from "./output.js";
import { tableOf } from "./table.js";

/** The longest value in a table, in characters: an embedding is longer than any screen. */
const MAX_VALUE_LENGTH = 40;

/** The request of `--entities a,b` or `--entities user_id=1,2`, and `--features` or `--service`. */
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

function shortened(value) {
	const text = typeof value === "string" ? value : stringify(value);
	return text.length > MAX_VALUE_LENGTH ? `${text.slice(0, MAX_VALUE_LENGTH - 1)}…` : text;
}

const age = (millis) =>
	(millis ?? undefined) === undefined ? "" : millis < 10_000 ? `${millis} ms` : `${Math.round(millis / 1_000)} s`;

const ANSWER = object({
	features: mapOf(mapOf(object({ value: anything, status: string, age_ms: optional(number), tier: optional(string) }))),
	latency_ms: number,
	quality_metrics: object({ completeness: number }),
	metadata: object({ serving_strategy: string }),
});

async function answerOf(options, request) {
	if (options.url !== undefined) {
		return send(options.url, "/v1/features", { body: request, timeout: options.timeout, shape: ANSWER });
	}
	const connection = await connectEngine(options);
	try {
		const text = new TextDecoder().decode(await connection.engine.serveBytes(new TextEncoder().encode(request)));
		return { text, value: checked(parseJson(text), ANSWER, "the engine") };
	} finally {
		await connection.close();
	}
}

export async function get(options) {
	const { text, value } = await answerOf(options, stringify(requestOf(options)));
	if (options.json) return printJson(text);
	const rows = [];
	for (const [entity, features] of Object.entries(value.features)) {
		for (const [feature, { value, status, age_ms: millis, tier }] of Object.entries(features)) {
			rows.push([entity, feature, shortened(value), status, age(millis), tier ?? ""]);
		}
	}
	print(...tableOf(["entity", "feature", "value", "status", "age", "tier"], rows));
	const { latency_ms: latency, quality_metrics: quality, metadata } = value;
	print(`${latency} ms, ${metadata.serving_strategy}, ${Math.round(quality.completeness * 100)} % complete`);
}
