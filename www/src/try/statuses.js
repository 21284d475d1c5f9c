// Why a value is not simply there: a hint for each status.

import { stops } from "../headers.js";
import { member, parse, stringOf } from "../json.js";

const HINTS = {
	NULL_VALUE: "The entity is known, and this value is empty.",
	NOT_FOUND: "The origin does not know this entity.",
	OUTSIDE_MAX_AGE: "The event is older than its view allows.",
};

/**
 * The hint for a status in a response.
 *
 * @param {import("../exchange.js").Exchange} exchange
 * @returns {(status: string | undefined) => string} empty where a status needs none
 */
export function statusHints(exchange) {
	const invalid = `${causeOf(exchange)}, and no tier had the value.`;
	return (status) => (status === "INVALID" ? invalid : (HINTS[status] ?? ""));
}

/** Why values are missing: in the words of the response's problem, or by its headers. */
function causeOf({ headers, text, lines }) {
	const detail = problemOf(lines?.at(-1)?.text ?? text);
	if (detail !== undefined) return `Cause: ${detail.replace(/\.$/, "")}`;
	const origin = stops(headers).find(({ tier }) => tier.id === "origin");
	if (origin?.outcome === "failed") return `The origin ${origin.words}`;
	if (origin !== undefined) return "The origin’s value could not be read";
	return "The origin was not reached, such as while its circuit breaker is open";
}

function problemOf(text) {
	try {
		return stringOf(text, member(member(parse(text), "problem"), "detail"));
	} catch {
		return undefined;
	}
}
