// Node, Deno and Bun: the wasm is a file beside this one, and a history may be a file.

import { readFile } from "node:fs/promises";
import { cpus } from "node:os";
import { create } from "../index.js";

export { fileHistory } from "../history_file.js";
export * from "../index.js";

const load = () => readFile(new URL("./benchmark.wasm", import.meta.url));

function environment() {
	const { versions, platform, version } = process;
	const host = versions.bun ? `Bun ${versions.bun}` : versions.deno ? `Deno ${versions.deno}` : `Node ${version}`;
	return { host, machine: `${platform}, ${cpus()[0]?.model ?? "unknown"}`, cores: cpus().length };
}

export const createBenchmark = ({ wasm } = {}) => create({ wasm, load, environment });
