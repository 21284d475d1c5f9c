// Deno: the wasm is a file beside this one, or wherever this one was imported from.

import { start } from "../public.js";

export * from "../public.js";

async function load() {
	const url = new URL("./featheredge.wasm", import.meta.url);
	if (url.protocol === "file:") return globalThis.Deno.readFile(url);
	const response = await fetch(url);
	if (!response.ok) throw new Error(`${url} answered ${response.status}`);
	return response.arrayBuffer();
}

export const createEngine = (options) => start(options, load);
