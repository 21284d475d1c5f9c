// Deno: the wasm is a file beside this one, or wherever this one was imported from.

import { start } from "../public.js";

export * from "../public.js";

async function read(name) {
	const url = new URL(name, import.meta.url);
	if (url.protocol === "file:") return globalThis.Deno.readFile(url);
	const response = await fetch(url);
	if (!response.ok) throw new Error(`${url} answered ${response.status}`);
	return response.arrayBuffer();
}

const load = () => read("./featheredge.wasm");
const loadWatch = async () => ({ ...(await import("../watch.js")), wasm: await read("./featheredge-watch.wasm") });

export const createEngine = (options) => start(options, load, loadWatch);
