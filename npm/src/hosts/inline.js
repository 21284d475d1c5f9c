// Anywhere: the wasm is part of this file, for bundlers and hosts that cannot load another.

import packed from "featheredge-packed";
import { start } from "../public.js";

export * from "../public.js";

async function load() {
	const bytes = Uint8Array.from(atob(packed), (character) => character.charCodeAt(0));
	const unpacked = new Blob([bytes]).stream().pipeThrough(new DecompressionStream("gzip"));
	return new Response(unpacked).arrayBuffer();
}

export const createEngine = (options) => start(options, load);
