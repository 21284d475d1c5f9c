// Origins of features: a Feast server, another HTTP server, or a function.
//
// Requests and responses are bytes in Feast's format, which the core interprets. An origin knows nothing of
// caches.

import { ConfigError } from "./errors.js";
import { emptyResponse, FunctionOrigin, PLACEHOLDER_URL } from "./function_origin.js";
import { FEAST_PATH } from "./gateway/handler.js";
import { HttpOrigin } from "./gateway/origin.js";
import { notFound } from "./gateway/reply.js";

/** The core's configuration of an HTTP origin. */
function configOf(url, { timeout, registry } = {}) {
	const origin = { kind: "http", url, ...(timeout !== undefined && { timeout_ms: timeout }) };
	return { origin, ...(registry !== undefined && { registry }) };
}

function checkUrl(url) {
	if (!URL.canParse(url)) throw new ConfigError(`the origin's URL is invalid: \`${url}\``);
}

/** A Feast server, with all its paths. */
class FeastOrigin extends HttpOrigin {
	constructor(url, options) {
		checkUrl(url);
		super(url, options);
		this.config = configOf(this.url, options);
	}
}

/** One URL that responds to `POST` as Feast's `/get-online-features` does. */
class FeaturesOrigin extends HttpOrigin {
	constructor(url, options) {
		checkUrl(url);
		super(url, options);
		this.config = configOf(PLACEHOLDER_URL, options);
	}

	async fetch(effect, signal, grant, onPart) {
		if (!effect.url.startsWith(PLACEHOLDER_URL)) return super.fetch(effect, signal, grant, onPart);
		return effect.url.endsWith(FEAST_PATH)
			? super.fetch({ ...effect, url: this.url }, signal, grant, onPart)
			: emptyResponse();
	}

	async forward(_, request, bytes, grant, options) {
		if (request.path !== FEAST_PATH) return notFound(request.path);
		return this.forwardTo(this.url, request, bytes, grant, options);
	}
}

/** A Feast server, with all its paths. */
export const feastOrigin = (url, options) => new FeastOrigin(url, options);

/** One URL that responds to `POST` as Feast's `/get-online-features` does. */
export const httpOrigin = (url, options) => new FeaturesOrigin(url, options);

/**
 * The origin of the options or the configuration; `undefined` for the synthetic one.
 *
 * @param {unknown} origin
 * @param {Record<string, any>} config
 */
export function originOf(origin, config) {
	if (typeof origin === "function") return new FunctionOrigin(origin, config.native?.default_view ?? "features");
	if (origin instanceof HttpOrigin) return origin;
	if (origin !== undefined)
		throw new ConfigError("`origin` is neither a function nor made by `feastOrigin` or `httpOrigin`");
	return config.origin?.url === undefined ? undefined : feastOrigin(config.origin.url);
}
