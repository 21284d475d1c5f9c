// What passes between a request and the core as it begins: its body in, and a reply that is there at once out, through the module's memory.
//
// It knows neither paths nor callers, and decides nothing. Its invariant: between a body's pass and the core's call nothing is awaited.

import { input, reply_at, reply_headers, reply_length, reply_status } from "featheredge-core";
import * as instance from "./instance.mjs";

/** Where a body goes, how long one may be that goes there, and in which instance. */
let inputAt = 0;
let capacity = 0;
let generation = 0;

/** Bodies up to this length are passed at one place, in bytes; `worker.rs` keeps the memory of these, and may of some that are longer. */
const KEPT_BYTES = 64 * 1024;

/**
 * Puts a body where the core reads the next request's; its length.
 *
 * @param {Uint8Array} body
 */
export function pass(body) {
	const { length } = body;
	if (generation !== instance.generation) {
		generation = instance.generation;
		capacity = 0;
	}
	let at = inputAt;
	if (length > capacity) {
		at = input(Math.max(length, KEPT_BYTES));
		// A longer one's place is given back.
		capacity = length > KEPT_BYTES ? 0 : KEPT_BYTES;
		inputAt = at;
	}
	instance.bytes().set(body, at);
	return length;
}

/** Headers that were made lately: most replies have the same ones. @type {Map<string, Headers>} */
const recentHeaders = new Map();

/** More than there are kinds of replies that are common, times the ages that are. */
const MAX_RECENT_HEADERS = 256;

/** The headers in lines that hold names and values by turns. */
export function headersIn(lines) {
	const parts = lines.split("\n");
	const headers = new Headers();
	for (let at = 0; at + 1 < parts.length; at += 2) headers.set(parts[at], parts[at + 1]);
	return headers;
}

/** The same, to be changed by nobody. Not for replies that waited: hardly two of them have the same timings. */
function sharedHeadersIn(lines) {
	let headers = recentHeaders.get(lines);
	if (headers === undefined) {
		headers = headersIn(lines);
		if (recentHeaders.size >= MAX_RECENT_HEADERS) recentHeaders.clear();
		recentHeaders.set(lines, headers);
	}
	return headers;
}

/** The reply that is there. */
export function reply() {
	const length = reply_length();
	const at = reply_at();
	const body = length > 0 ? instance.bytes().slice(at, at + length) : null;
	return new Response(body, { status: reply_status(), headers: sharedHeadersIn(reply_headers()) });
}
