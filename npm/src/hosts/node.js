// Node, and Bun: the wasm is a file beside this one.

import { readFile } from "node:fs/promises";
import { start } from "../public.js";

export * from "../public.js";

const load = () => readFile(new URL("./featheredge.wasm", import.meta.url));

export const createEngine = (options) => start(options, load);
