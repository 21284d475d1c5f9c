// How the packaged hosts make the module's first instance, and what they know of the present one.
//
// A trapped instance has half-finished state and is never entered again. Invariant: an engine's core belongs to the present
// instance, or the engine makes itself a new one before it enters.

import { generation, start } from "../../src/host/instance.mjs";
import { ConfigError } from "./errors.js";

export { bytes, generation, replace } from "../../src/host/instance.mjs";

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
	if (generation > 0) return;
	start(module);
}
