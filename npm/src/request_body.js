// A request of the API as the bytes of a body. An id that JSON would turn into null is refused, since all such ids would share a row.

import { RequestError } from "./errors.js";
import { stringify } from "./json.js";

const encoder = new TextEncoder();

const refuse = (message) => {
	throw new RequestError("invalid-request", message, 422, new Uint8Array());
};

/** Why an id is none, or nothing. A `Date` is its ISO text, as JSON has it. */
function faultOf(id) {
	switch (typeof id) {
		case "undefined":
			return "is undefined";
		case "number":
			return Number.isFinite(id) ? undefined : `is ${id}`;
		case "object":
			if (id instanceof Date) return Number.isNaN(id.getTime()) ? "is an invalid date" : undefined;
			return ArrayBuffer.isView(id) || id instanceof ArrayBuffer
				? "is bytes: write it as a text, such as `toString('hex')`"
				: undefined;
		case "function":
		case "symbol":
			return `is a ${typeof id}`;
		default:
			return undefined;
	}
}

function checkIds(field, ids) {
	// The core refuses what is no list.
	if (!Array.isArray(ids)) return;
	for (let index = 0; index < ids.length; index++) {
		const fault = faultOf(ids[index]);
		if (fault !== undefined) refuse(`\`${field}[${index}]\` ${fault}`);
	}
}

/**
 * @param {any} request
 * @returns {Uint8Array}
 * @throws {RequestError} which names the id
 */
export function bodyOf(request) {
	checkIds("entity_ids", request?.entity_ids);
	for (const name in request?.entities) checkIds(`entities.${name}`, request.entities[name]);
	let text;
	try {
		text = stringify(request);
	} catch (error) {
		refuse(`the request is no JSON: ${error.message.split("\n")[0]}`);
	}
	return encoder.encode(text ?? "");
}
