// Cloudflare Workers: modules are compiled by the platform alone, so the wasm is imported.

import { start } from "../public.js";
import module from "./featheredge.wasm";

export * from "../public.js";

export const createEngine = (options) => start(options, () => module);
