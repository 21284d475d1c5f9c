// Browsers, their workers, and other hosts: the wasm is a file that bundlers find by its URL.

import { BenchmarkError } from "../errors.js";
import { create } from "../index.js";

export * from "../index.js";

export function fileHistory() {
	throw new BenchmarkError("invalid-options", "this host has no files: use `indexedDbHistory`");
}

async function load() {
	const response = await fetch(new URL("./benchmark.wasm", import.meta.url));
	if (!response.ok) throw new Error(`${response.url} answered ${response.status}`);
	const isWasm = response.headers.get("content-type")?.startsWith("application/wasm");
	return isWasm ? WebAssembly.compileStreaming(response) : response.arrayBuffer();
}

function environment() {
	const { userAgent = "unknown", platform = "unknown", hardwareConcurrency = 0 } = globalThis.navigator ?? {};
	return { host: userAgent, machine: platform, cores: hardwareConcurrency };
}

export const createBenchmark = ({ wasm } = {}) => create({ wasm, load, environment });
