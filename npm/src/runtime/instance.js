// The module's one instance in this process or isolate, and its replacement after a trap.
//
// It knows no request. Its invariant: a trapped instance has half-finished state, and once it is replaced nothing leads to it any more. A
// core belongs to the present instance, or its runtime makes itself a new one before it enters.

import { __wbg_reset_state, initSync, instance_memory } from "featheredge-core";
import { ConfigError } from "../errors.js";

/** How many instances there have been. */
export let generation = 0;

/** @type {WebAssembly.Memory} */
let memory;
/** The memory as it stands; of no length once it has grown. */
let view = new Uint8Array();

/** The memory of the present instance. */
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
 * Makes the first instance.
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
 * What a function of the module gives that belongs to no object. Through the module's frames, any error is as bad as a trap.
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
 * Makes the first instance, if there is none.
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
	// Another call may have been faster meanwhile.
	if (generation === 0) start(module);
}
