// Cloudflare Workers: only the platform compiles modules, so the wasm is imported.

import { start } from "../public.js";
import module from "./featheredge.wasm";

export * from "../public.js";

export const createEngine = (options) => start(options, () => module);
