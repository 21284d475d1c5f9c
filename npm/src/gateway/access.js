// Access control: authenticates callers, and grants each request its scopes, its cache partition and the
// credentials for the origin.
//
// It knows a path only by the scope that the core requires for it. Invariants: secrets are compared by
// digest and in constant time; the key decides the algorithm, never the token; a caller without valid
// credentials has the anonymous scopes.

import { networkOf } from "./address.js";
import { areEqual, sha256 } from "./digest.js";
import { ANONYMOUS, OPERATOR } from "./grant.js";
import { issuerKeys } from "./oidc.js";
import { problem } from "./reply.js";

/** The operator's bearer token. */
const OPERATOR_TOKEN = "FEATHEREDGE_OPERATOR_TOKEN";
/** The digests of callers' tokens, in JSON: `{name: {sha256, scopes, project}}`. */
const TOKENS = "FEATHEREDGE_TOKENS";

/** A path that needs no scope but sends a request to the origin, so it is rate-limited. */
const READY = "/ready";

/** The scopes, by the core's numbers. */
const SCOPES = ["nothing", "read", "write", "admin"];
const ALL_SCOPES = new Set(SCOPES);
const GRANTABLE = SCOPES.slice(1);

/** The defaults of `[vars.FEATHEREDGE.auth]`; `crates/config/src/auth.rs` has the same. */
export const DEFAULTS = {
	mode: "none",
	jwks_ttl_seconds: 300,
	clock_skew_seconds: 60,
	default_scopes: ["read"],
	scope_claim: "scope",
	retry_after_seconds: 60,
	cors_origins: [],
};

/** The prefix of this service's scopes in the scope claim. */
const SCOPE_PREFIX = "featheredge:";

/** The longest `Authorization`: issuers' tokens have a few kilobytes. */
const MAX_AUTHORIZATION = 16 * 1024;

/** The most parts of an `Authorization` that are hashed and compared. */
const MAX_PARTS = 16;

/** How long browsers may cache a preflight, in seconds: the most that they honour. */
const PREFLIGHT_SECONDS = "7200";

/**
 * An authenticated or anonymous caller.
 *
 * @typedef {object} Identity
 * @property {string} name the key of its rate limit
 * @property {ReadonlySet<string>} scopes
 * @property {string} partition
 * @property {import("./grant.js").Grant["credentials"]} credentials
 * @property {string} [authorization]
 * @property {boolean} [isAnonymous]
 *
 * @typedef {{ limit: (who: { key: string }) => Promise<{ success: boolean }> }} RateLimiter
 */

/** A refusal, with its reply. */
class Refusal extends Error {
	/** @param {import("./reply.js").Reply} reply */
	constructor(reply) {
		super("refused");
		this.reply = reply;
	}
}

function refuse(...args) {
	throw new Refusal(problem(...args));
}

const unauthorized = (detail, error = "") =>
	refuse(401, "unauthorized", "Credentials are needed", detail, {
		"www-authenticate": `Bearer realm="featheredge"${error && `, error="${error}"`}`,
	});

const invalidConfiguration = (detail) =>
	refuse(503, "invalid-configuration", "The configuration cannot be used", detail);

const hex = (bytes) => Array.from(bytes, (byte) => byte.toString(16).padStart(2, "0")).join("");

/** The bytes of a digest in 64 hexadecimal digits. */
function digestOf(text) {
	if (!/^[0-9a-f]{64}$/i.test(text)) throw new TypeError("`sha256` must be 64 hexadecimal digits");
	return Uint8Array.from(text.match(/../g), (pair) => Number.parseInt(pair, 16));
}

/** The tokens of the secret, or why it is invalid. */
function readTokens(text) {
	try {
		const table = JSON.parse(text);
		if (table === null || typeof table !== "object" || Array.isArray(table)) throw new TypeError("it is not an object");
		const tokens = Object.entries(table).map(([name, token], index) => {
			const { sha256, scopes, project = "" } = token ?? {};
			if (!Array.isArray(scopes)) throw new TypeError(`\`scopes\` of token ${index} must be a list`);
			if (!scopes.every((scope) => GRANTABLE.includes(scope))) {
				throw new TypeError(`\`scopes\` of token ${index} has an unknown one: \`${GRANTABLE.join("`, `")}\` are known`);
			}
			const granted = new Set(scopes);
			if (typeof project !== "string") throw new TypeError("`project` must be a text");
			return { name, digest: digestOf(sha256), scopes: granted, partition: project && `project:${project}` };
		});
		return { tokens };
	} catch (error) {
		// The parser's message would quote the secret.
		const why = error instanceof SyntaxError ? "it is not JSON" : error.message;
		return { fault: `the secret \`${TOKENS}\` cannot be used: ${why}` };
	}
}

/** A list, or `undefined`; the core reports a value of another type. */
const listOf = (value) => (Array.isArray(value) ? value : undefined);

/** The words of a claim, which is a text or a list. */
const wordsOf = (claim) => {
	if (Array.isArray(claim)) return claim.filter((word) => typeof word === "string");
	return typeof claim === "string" ? claim.split(" ") : [];
};

export class Access {
	#secrets;
	#settings;
	/** The scopes of callers without credentials. */
	#anonymousScopes;
	#limiter;
	#keys;
	#tokens;
	#operator;
	/** Identities by the claims that they were derived from. @type {WeakMap<object, Identity>} */
	#identities = new WeakMap();
	/** Whether reads without credentials need no check, and their replies no further headers. */
	isReadUnchecked;

	/**
	 * @param {Record<string, any> | undefined} auth the table `auth` of the configuration
	 * @param {Record<string, any>} secrets by their names
	 * @param {(name: string) => RateLimiter | undefined} limiterOf the host's rate limiters
	 */
	constructor(auth, secrets, limiterOf) {
		this.#secrets = secrets;
		const given = Object.entries(auth ?? {}).filter(([, value]) => value !== null);
		this.#settings = { ...DEFAULTS, ...Object.fromEntries(given) };
		this.#settings.cors_origins = listOf(this.#settings.cors_origins) ?? [];
		const { mode, anonymous_scopes: open, rate_limit_binding: binding } = this.#settings;
		this.#anonymousScopes = new Set(listOf(open) ?? { none: ["read"], origin: ["read", "write"] }[mode] ?? []);
		this.#limiter = binding === undefined ? undefined : limiterOf(binding);
		this.#keys = mode === "oidc" ? issuerKeys(this.#settings) : undefined;
		this.#tokens = mode === "tokens" ? readTokens(secrets[TOKENS] ?? "{}") : {};
		this.isReadUnchecked =
			mode === "none" &&
			this.#anonymousScopes.has("read") &&
			binding === undefined &&
			this.#settings.cors_origins.length === 0;
	}

	/** Why a secret or a binding is invalid; `undefined` if all are valid. */
	get fault() {
		const { rate_limit_binding: binding } = this.#settings;
		if (binding !== undefined && this.#limiter === undefined) {
			return `there is no binding \`${binding}\`, which \`auth.rate_limit_binding\` names`;
		}
		return this.#tokens.fault;
	}

	/**
	 * Admits a request that needs the scope of this number, or refuses it.
	 *
	 * @param {import("./handler.js").PlainRequest} request
	 * @param {scopeNumber} scopeNumber
	 * @returns {Promise<{ grant: import("./grant.js").Grant, refusal?: undefined } | { grant?: undefined, refusal: import("./reply.js").Reply }>}
	 */
	async admit(request, scopeNumber) {
		const scope = SCOPES[scopeNumber];
		const isReadinessCheck = request.path === READY;
		if (scope === "nothing" && !isReadinessCheck) return { grant: ANONYMOUS };
		try {
			if (this.fault !== undefined) invalidConfiguration(this.fault);
			if (scope === "nothing") {
				const { name, credentials } = this.#anonymousIdentity(request);
				await this.#limit(`ready:${name}`);
				return { grant: { ...ANONYMOUS, credentials } };
			}
			const identity = (await this.#identifyOrCount(request)) ?? this.#anonymousIdentity(request);
			// Anyone can invent credentials that only the origin checks, so such callers are limited by
			// address too.
			if (identity.name.startsWith("origin:")) await this.#limit(this.#anonymousIdentity(request).name);
			await this.#limit(identity.name);
			if (!identity.scopes.has(scope)) this.#refuse(identity, scope);
			const { partition, credentials, authorization } = identity;
			return { grant: { partition, credentials, authorization, isOperator: identity.scopes.has("admin") } };
		} catch (error) {
			if (error instanceof Refusal) return { refusal: error.reply };
			throw error;
		}
	}

	/**
	 * The caller's identity. Invalid credentials count against the address's rate limit, so that nobody can
	 * guess them quickly.
	 */
	async #identifyOrCount(request) {
		try {
			return await this.#identify(request);
		} catch (error) {
			if (error instanceof Refusal && error.reply.status === 401)
				await this.#limit(this.#anonymousIdentity(request).name);
			throw error;
		}
	}

	/** The identity of a caller without credentials. */
	#anonymousIdentity(request) {
		return {
			name: `address:${networkOf(request.address)}`,
			scopes: this.#anonymousScopes,
			partition: "",
			isAnonymous: true,
			// The deployment's credentials must not serve callers whom the origin authorizes.
			credentials: this.#settings.mode === "origin" ? "none" : "caller",
		};
	}

	#refuse({ isAnonymous }, scope) {
		const { mode } = this.#settings;
		if (isAnonymous && mode !== "none" && mode !== "origin") {
			unauthorized(`the request needs \`Authorization: Bearer\` with a token of the scope \`${scope}\``);
		}
		const detail = isAnonymous
			? `the request needs \`Authorization: Bearer\` with the secret \`${OPERATOR_TOKEN}\`, unless \`auth.anonymous_scopes\` has \`${scope}\``
			: `the token does not have the scope \`${scope}\``;
		refuse(403, "forbidden", "The caller may not do this", detail);
	}

	/**
	 * The caller's identity; `undefined` without credentials.
	 *
	 * @param {import("./handler.js").PlainRequest} request
	 * @returns {Promise<Identity | undefined>}
	 */
	async #identify(request) {
		const authorization = request.header("authorization");
		if (authorization === undefined) return undefined;
		if (authorization.length > MAX_AUTHORIZATION) unauthorized("the credentials are too long", "invalid_request");
		const token = /^bearer +([^ ]+) *$/i.exec(authorization)?.[1];
		// The operator's token must not reach the origin, in whatever form it was sent.
		const parts = authorization.split(/[\s,]+/, MAX_PARTS);
		for (const part of token?.includes(",") === false ? [] : parts) {
			if (!(await this.#isOperatorDigest(await sha256(part)))) continue;
			refuse(
				403,
				"forbidden",
				"The caller may not do this",
				"an operator sends exactly `Authorization: Bearer` and its token",
			);
		}
		const { mode } = this.#settings;
		const digest = token === undefined ? undefined : await sha256(token);
		if (digest !== undefined && (await this.#isOperatorDigest(digest))) {
			// Rows that the origin returned to the deployment must not be served to callers whom it
			// authorizes.
			const partition = mode === "origin" ? "operator" : "";
			return { name: "operator", scopes: ALL_SCOPES, ...OPERATOR, partition };
		}
		if (mode === "none") return undefined;
		if (mode === "origin") {
			const name = `origin:${hex(await sha256(authorization))}`;
			return {
				name,
				scopes: this.#anonymousScopes,
				partition: name,
				credentials: "caller",
				authorization: authorization,
			};
		}
		if (digest === undefined) unauthorized("the credentials are not a bearer token", "invalid_request");
		const known = mode === "oidc" ? await this.#jwtIdentity(token, hex(digest), request) : this.#tokenIdentity(digest);
		return { ...known, credentials: "deployment" };
	}

	/** Whether a digest is that of the operator's token. */
	async #isOperatorDigest(digest) {
		const secret = this.#secrets[OPERATOR_TOKEN];
		if (!secret) return false;
		this.#operator ??= await sha256(secret);
		return areEqual(digest, this.#operator);
	}

	/** The identity of a token's digest. All digests are compared, so that the time reveals nothing. */
	#tokenIdentity(digest) {
		let found;
		for (const token of this.#tokens.tokens) {
			if (areEqual(token.digest, digest)) found = token;
		}
		if (found === undefined) unauthorized("the token is not known", "invalid_token");
		return { name: `token:${found.name}`, scopes: found.scopes, partition: found.partition };
	}

	/** The identity of a signed token. */
	async #jwtIdentity(token, digest, { waitUntil }) {
		const { claims, fault, isOutage } = await this.#keys.verify(token, digest, waitUntil);
		if (isOutage)
			refuse(503, "issuer-unreachable", "The issuer's keys are unavailable", fault, { "retry-after": "10" });
		if (fault !== undefined) unauthorized(fault, "invalid_token");
		// A remembered token has the same claims object.
		const known = this.#identities.get(claims) ?? (await this.#identityOf(claims));
		this.#identities.set(claims, known);
		return known;
	}

	/** The identity that claims describe. */
	async #identityOf(claims) {
		const { audience, default_scopes, scope_claim: scopeClaim, project_claim: claim } = this.#settings;
		if (![claims.aud].flat().includes(audience)) {
			unauthorized("the token is for another audience", "invalid_token");
		}
		const project = claim === undefined ? "" : claims[claim];
		if (typeof project !== "string" || (claim !== undefined && project === "")) {
			unauthorized(`the token has no claim \`${claim}\``, "invalid_token");
		}
		const own = wordsOf(claims[scopeClaim]).filter((word) => word.startsWith(SCOPE_PREFIX));
		const scopes = new Set([...default_scopes, ...own.map((word) => word.slice(SCOPE_PREFIX.length))]);
		return {
			name: `subject:${hex(await sha256(String(claims.sub)))}`,
			scopes,
			partition: project && `project:${project}`,
		};
	}

	/** Counts a request against a rate limit, and refuses it if the limit is exceeded. */
	async #limit(key) {
		if (this.#limiter === undefined) return;
		// A failing limiter must not fail the service.
		const { success } = await this.#limiter.limit({ key }).catch(() => ({ success: true }));
		if (success) return;
		const headers = { "retry-after": String(this.#settings.retry_after_seconds) };
		refuse(429, "too-many-requests", "Too many requests", "the caller's rate limit is exceeded", headers);
	}

	#isAllowedOrigin(origin) {
		const { cors_origins: allowed } = this.#settings;
		return origin !== undefined && (allowed.includes("*") || allowed.includes(origin));
	}

	/**
	 * The reply to a CORS preflight; `undefined` for any other request, or if CORS is not configured.
	 *
	 * @param {import("./handler.js").PlainRequest} request
	 * @returns {import("./reply.js").Reply | undefined}
	 */
	preflight(request) {
		if (request.method !== "OPTIONS" || request.header("access-control-request-method") === undefined) return undefined;
		if (this.#settings.cors_origins.length === 0) return undefined;
		if (!this.#isAllowedOrigin(request.header("origin"))) {
			const detail = "`auth.cors_origins` does not list this origin";
			return problem(403, "forbidden", "The caller may not do this", detail);
		}
		return {
			status: 204,
			headers: [
				["access-control-allow-methods", "GET, HEAD, POST"],
				[
					"access-control-allow-headers",
					"authorization, baggage, content-type, featheredge-session, traceparent, tracestate",
				],
				["access-control-max-age", PREFLIGHT_SECONDS],
			],
			body: null,
		};
	}

	/**
	 * The reply with the CORS headers that let a page of an allowed origin read it.
	 *
	 * @param {import("./handler.js").PlainRequest} request
	 * @param {import("./reply.js").Reply} reply
	 * @param {boolean} [isOwn] whether it is a reply of `preflight`
	 * @returns {import("./reply.js").Reply}
	 */
	withCors(request, reply, isOwn = false) {
		if (this.#settings.cors_origins.length === 0) return reply;
		const origin = request.header("origin");
		// The feature origin's CORS headers are dropped: it does not know the deployment's allowed origins.
		const kept = reply.headers.filter(([name]) => !name.startsWith("access-control-") || isOwn);
		const headers = [...kept, ["vary", "origin"]];
		if (this.#isAllowedOrigin(origin)) {
			headers.push(["access-control-allow-origin", this.#settings.cors_origins.includes("*") ? "*" : origin]);
			headers.push(["access-control-expose-headers", "age, cache-status, retry-after, server-timing"]);
		}
		return { ...reply, headers };
	}
}
