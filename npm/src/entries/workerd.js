// Cloudflare Workers: modules are compiled by the platform alone, so the wasm is imported.

import { start } from "../public.js";
import module from "./featheredge.wasm";
import watchModule from "./featheredge-watch.wasm";

export * from "../public.js";

export const createEngine = (options) =>
	start(
		options,
		() => module,
		async () => ({ ...(await import("../watch.js")), wasm: watchModule }),
	);
