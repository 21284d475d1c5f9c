// A run as a link: all of it is in the fragment, which browsers send to nobody.

import { MAX_BYTES } from "./data.js";

/**
 * A run without what a link does not need: its results are computed again, and timelines are for charts
 * only.
 */
function trimmed({ overall, ...run }) {
	const scenarios = run.scenarios.map(({ summary, repeats, ...measured }) => ({
		...measured,
		repeats: repeats.map((repeat) => ({ ...repeat, timeline: [] })),
	}));
	return { ...run, scenarios };
}

/** @param {any} run */
export async function link(run) {
	const stream = new Blob([JSON.stringify(trimmed(run))]).stream().pipeThrough(new CompressionStream("deflate-raw"));
	const packed = new Uint8Array(await new Response(stream).arrayBuffer());
	let binary = "";
	for (const byte of packed) binary += String.fromCharCode(byte);
	const text = btoa(binary).replaceAll("+", "-").replaceAll("/", "_").replaceAll("=", "");
	return `${location.origin}${location.pathname}#results=shared:${text}`;
}

/**
 * The text in a link's fragment, which may be anything: memory is taken for what is allowed only.
 *
 * @param {string} text
 */
export async function opened(text) {
	if (text.length > MAX_BYTES) throw new Error("the link is longer than 8 MiB.");
	const decoder = new TextDecoder();
	let unpacked = "";
	let size = 0;
	try {
		const binary = atob(text.replaceAll("-", "+").replaceAll("_", "/"));
		const bytes = Uint8Array.from(binary, (letter) => letter.charCodeAt(0));
		const reader = new Blob([bytes]).stream().pipeThrough(new DecompressionStream("deflate-raw")).getReader();
		for (;;) {
			const { done, value } = await reader.read();
			if (done) break;
			size += value.length;
			if (size > MAX_BYTES) {
				await reader.cancel();
				break;
			}
			unpacked += decoder.decode(value, { stream: true });
		}
	} catch {
		throw new Error("it is damaged or incomplete. Copy the whole link once more.");
	}
	if (size > MAX_BYTES) throw new Error("it unpacks to more than 8 MiB.");
	return unpacked + decoder.decode();
}
