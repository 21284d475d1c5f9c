// Checks a server before it is measured: a host that is not there, or another than was meant, would otherwise be thousands of failures.

import { BenchmarkError } from "./errors.js";

/** How much of a response is read, in bytes: the check's has one value, and anything longer is none of these servers'. */
const MAX_BODY = 65_536;

/**
 * A server's base URL, and its name in results, which has no credentials.
 *
 * @param {string | URL} url
 */
export function endpointOf(url) {
	if (!URL.canParse(url)) {
		// What was given may have credentials, which no message repeats.
		throw new BenchmarkError("invalid-url", "This is no URL. Write one such as https://features.example.com");
	}
	const parsed = new URL(url);
	if (parsed.protocol !== "https:" && parsed.protocol !== "http:") {
		throw new BenchmarkError(
			"invalid-url",
			`\`${parsed.protocol}\` cannot be measured. Write a URL that begins with https:// or http://`,
		);
	}
	if (parsed.username !== "" || parsed.password !== "") {
		throw new BenchmarkError("invalid-url", "The URL has credentials. Give a token apart from it.");
	}
	parsed.hash = "";
	parsed.search = "";
	const base = parsed.href.replace(/\/+$/, "");
	return { base, name: base };
}

/** Node's codes of what `fetch` hides behind "fetch failed". */
const CAUSES = {
	ENOTFOUND: "no such host",
	EAI_AGAIN: "the name cannot be resolved now",
	ECONNREFUSED: "the connection was refused",
	ECONNRESET: "the connection was closed",
	ETIMEDOUT: "the connection timed out",
	CERT_HAS_EXPIRED: "its certificate has expired",
	DEPTH_ZERO_SELF_SIGNED_CERT: "its certificate is self-signed",
};

/** The error for a server that did not answer. */
export function unreachable(url, error) {
	const { host, origin } = new URL(url);
	const options = { cause: error };
	if (error?.name === "TimeoutError") {
		return new BenchmarkError("unreachable", `${host} did not respond. Check the URL and the server.`, options);
	}
	if (globalThis.navigator?.onLine === false) {
		return new BenchmarkError("unreachable", `${host} cannot be reached, and this browser is offline.`, options);
	}
	const code = error?.cause?.code;
	const isPage = typeof globalThis.document !== "undefined" || typeof globalThis.WorkerGlobalScope !== "undefined";
	if (code === undefined && isPage && origin !== globalThis.location?.origin) {
		// A browser does not say which of them it is.
		const words = `${host} cannot be reached, or does not allow this page. Check the URL, and CORS on the server.`;
		return new BenchmarkError("unreachable", words, options);
	}
	const reason = CAUSES[code] ?? code ?? "the request failed";
	return new BenchmarkError(
		"unreachable",
		`${host} cannot be reached: ${reason}. Check the URL and the server.`,
		options,
	);
}

/** The beginning of a body as text. */
export async function beginningOf(response) {
	const reader = response.body?.getReader();
	const decoder = new TextDecoder();
	let text = "";
	try {
		while (text.length < MAX_BODY) {
			const { done, value } = (await reader?.read()) ?? { done: true };
			if (done) return text;
			text += decoder.decode(value, { stream: true });
		}
	} catch {
		// A body that breaks off says what it has said.
	} finally {
		await reader?.cancel().catch(() => {});
	}
	return text;
}

/** A body as JSON, and the detail of a problem, without the token and what a terminal would obey. */
async function detailOf(response, token) {
	const text = await beginningOf(response);
	const plain = (given) => {
		const words = token ? String(given).replaceAll(token, "***") : String(given);
		return words.replaceAll(/\p{Cc}/gu, "").slice(0, 200);
	};
	try {
		const body = JSON.parse(text);
		return { text, body, detail: plain(body?.detail ?? body?.title ?? "") };
	} catch {
		return { text, detail: "" };
	}
}

/** The shapes of responses by which a server is known: those of the native API, and of Feast's. */
const SHAPES = {
	featheredge: ["Featheredge", (body) => typeof body?.cache_stats === "object"],
	feast: ["a Feast server", (body) => Array.isArray(body?.results)],
};

/**
 * @param {string} url
 * @param {Response} response
 * @param {string} token that was sent, or none
 * @param {keyof typeof SHAPES} what
 */
export async function checkResponse(url, response, token, what) {
	const { host } = new URL(url);
	const { status } = response;
	const [name, isShape] = SHAPES[what];
	const { body, detail, text } = await detailOf(response, token);
	const fail = (code, words) => {
		throw new BenchmarkError(code, words);
	};
	if (response.type === "opaqueredirect" || (status >= 300 && status < 400)) {
		fail("not-featheredge", `${host} redirects elsewhere. Write the URL that it redirects to.`);
	}
	if (status === 401) {
		fail(
			"unauthorized",
			token
				? `${host} does not accept the token. Check that it is whole and has not expired.`
				: `${host} needs a bearer token. Enter the one of this deployment.`,
		);
	}
	if (status === 403) fail("forbidden", `The token may not read features of ${host}. Use one with the scope \`read\`.`);
	if (status === 404 && !detail) fail("not-featheredge", `${host} is not ${name}: it has no ${new URL(url).pathname}.`);
	if (status !== 200) fail("failed", `${host} responded with status ${status}${detail ? `: ${detail}` : ""}.`);
	if (!isShape(body)) {
		const kind = /^\s*</.test(text) ? "a web page" : "something else";
		fail("not-featheredge", `${host} is not ${name}: it responded with ${kind}.`);
	}
}
