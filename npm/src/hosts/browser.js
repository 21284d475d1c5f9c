// Browsers and their workers: the wasm is a file that bundlers find by its URL.

import { start } from "../public.js";

export * from "../public.js";

async function fetched(url) {
	const response = await fetch(url);
	if (!response.ok) throw new Error(`${response.url} answered ${response.status}`);
	// Streaming compilation needs the right content type, which not every server sends.
	const isWasm = response.headers.get("content-type")?.startsWith("application/wasm");
	return isWasm ? WebAssembly.compileStreaming(response) : response.arrayBuffer();
}

const load = () => fetched(new URL("./featheredge.wasm", import.meta.url));

export const createEngine = (options) => start(options, load);
