// The wasm module's single instance in this process or isolate, and its replacement after a trap.
//
// It knows no requests. Invariant: a trapped instance may have inconsistent state, so nothing calls it once
// it is replaced. A runtime whose core belongs to an older instance creates a new core before its next call.

import { __wbg_reset_state, initSync, instance_memory } from "featheredge-core";
import { ConfigError } from "../errors.js";

/** The number of instances so far. */
export let generation = 0;

/** @type {WebAssembly.Memory} */
let memory;
/** A view of the memory; its length is 0 once the memory has grown. */
let view = new Uint8Array();

/** The memory of the current instance. */
export function bytes() {
	if (view.length === 0) view = new Uint8Array(memory.buffer);
	return view;
}

function begin() {
	generation += 1;
	memory = instance_memory();
	view = new Uint8Array(memory.buffer);
}

/**
 * Creates the first instance.
 *
 * @param {WebAssembly.Module} module
 */
export function start(module) {
	initSync({ module });
	begin();
}

/** Replaces the instance after a trap. */
export function replace() {
	__wbg_reset_state();
	begin();
}

/**
 * Calls a function of the module that belongs to no object. An exception that unwinds the module's frames counts as a trap.
 *
 * @template T
 * @param {() => T} call
 */
export function enter(call) {
	try {
		return call();
	} catch (error) {
		replace();
		throw error;
	}
}

/**
 * Creates the first instance, if there is none.
 *
 * @param {() => WebAssembly.Module | BufferSource | Promise<WebAssembly.Module | BufferSource>} load
 */
export async function instantiate(load) {
	if (generation > 0) return;
	let module;
	try {
		const loaded = await load();
		module = loaded instanceof WebAssembly.Module ? loaded : await WebAssembly.compile(loaded);
	} catch (error) {
		throw new ConfigError(
			`cannot load featheredge.wasm (${error.message}): put it beside the code, pass \`wasm\`, or import from "featheredge/inline"`,
			{ cause: error },
		);
	}
	// Another call may have created it meanwhile.
	if (generation === 0) start(module);
}
