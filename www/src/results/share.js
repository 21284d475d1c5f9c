// A run as a link: all of it is in the fragment, which browsers send to nobody.

/**
 * A run without what a link does not need: its results are computed again, and timelines are for charts
 * only.
 */
function trimmed({ overall, ...run }) {
	const scenarios = run.scenarios.map(({ scenario, repeats }) => ({
		scenario,
		repeats: repeats.map(({ timeline, ...repeat }) => repeat),
	}));
	return { ...run, scenarios };
}

const through = (bytes, transform) => new Response(new Blob([bytes]).stream().pipeThrough(transform)).arrayBuffer();

/** @param {any} run */
export async function link(run) {
	const packed = new Uint8Array(await through(JSON.stringify(trimmed(run)), new CompressionStream("deflate-raw")));
	let binary = "";
	for (const byte of packed) binary += String.fromCharCode(byte);
	const text = btoa(binary).replaceAll("+", "-").replaceAll("/", "_").replaceAll("=", "");
	return `${location.origin}${location.pathname}#results=shared:${text}`;
}

/** The run of a link's fragment, which may be anything. */
export async function opened(text) {
	const binary = atob(text.replaceAll("-", "+").replaceAll("_", "/"));
	const bytes = Uint8Array.from(binary, (letter) => letter.charCodeAt(0));
	return JSON.parse(new TextDecoder().decode(await through(bytes, new DecompressionStream("deflate-raw"))));
}
