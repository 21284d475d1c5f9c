// The core's one instance in this isolate, and its replacement after a trap; bodies in, and replies that are there at once out.
//
// It knows no request. Its invariant: a trapped instance has half-finished state and is never entered again.

import {
	__wbg_reset_state,
	initSync,
	input,
	instance_memory,
	reply_at,
	reply_headers,
	reply_length,
	reply_status,
} from "featheredge-core";
import wasmModule from "./index.wasm";

/** @type {WebAssembly.Memory} */
let memory;
/** The memory as it stands; of no length once it has grown. */
let view = new Uint8Array();
/** Where a body goes, and how long one may be that goes there. */
let inputAt = 0;
let capacity = 0;

let isPoisoned = false;

/** How many instances there have been. */
export let generation = 0;

function begin() {
	generation += 1;
	memory = instance_memory();
	view = new Uint8Array();
	capacity = 0;
}

initSync({ module: wasmModule });
begin();

/** Sees to it that the core's instance is one that has not trapped. */
export function heal() {
	if (isPoisoned) {
		__wbg_reset_state();
		begin();
		isPoisoned = false;
	}
}

/** Says that the instance has trapped. */
export function poison() {
	isPoisoned = true;
}

function bytes() {
	if (view.length === 0) view = new Uint8Array(memory.buffer);
	return view;
}

/** Bodies up to this length are passed at one place, in bytes; `worker.rs` keeps the memory of these, and may of some that are longer. */
const KEPT_BYTES = 64 * 1024;

/**
 * Puts a body where the core reads the next request's; its length.
 *
 * @param {Uint8Array} body
 */
export function pass(body) {
	const { length } = body;
	let at = inputAt;
	if (length > capacity) {
		at = input(Math.max(length, KEPT_BYTES));
		// A longer one's place is given back.
		capacity = length > KEPT_BYTES ? 0 : KEPT_BYTES;
		inputAt = at;
	}
	bytes().set(body, at);
	return length;
}

/** Headers that were made lately: most replies have the same ones. @type {Map<string, Headers>} */
const recentHeaders = new Map();

/** More than there are kinds of replies that are common, times the ages that are. */
const MAX_RECENT_HEADERS = 256;

/** The headers in lines that hold names and values by turns; to be changed by nobody. */
export function headersIn(lines) {
	let headers = recentHeaders.get(lines);
	if (headers === undefined) {
		const parts = lines.split("\n");
		headers = new Headers();
		for (let at = 0; at + 1 < parts.length; at += 2) headers.set(parts[at], parts[at + 1]);
		if (recentHeaders.size >= MAX_RECENT_HEADERS) recentHeaders.clear();
		recentHeaders.set(lines, headers);
	}
	return headers;
}

/** The reply that is there. */
export function reply() {
	const length = reply_length();
	const at = reply_at();
	const body = length > 0 ? bytes().slice(at, at + length) : null;
	return new Response(body, { status: reply_status(), headers: headersIn(reply_headers()) });
}
