// The benchmark framework on any JavaScript host: in a browser's Web Worker, in Node and its like.
//
// Moves bytes between the framework, which says what to ask when, and what answers. One module holds the engine and the framework, so that
// a run in the page, on the command line and in a test is the same.

import { compare, framework, scaledScenario, summarize } from "featheredge-core";
import { instantiate } from "../../../npm/src/instance.js";

export { runSuite } from "./suite.mjs";
export { engineTarget, memoryStore, urlTarget } from "./targets.mjs";
export { compare, framework, scaledScenario, summarize };

/**
 * Makes the module ready. Everything else comes after.
 *
 * @param {() => WebAssembly.Module | BufferSource | Promise<WebAssembly.Module | BufferSource>} load
 */
export const load = (load) => instantiate(load);
