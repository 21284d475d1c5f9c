// Who may do what: looks at a caller's credentials, and says which scopes they give, whose rows the caller is served, and what the origin
// is shown.
//
// It knows paths by the scope that they need alone, which the core tells. Its invariants: a secret is compared by digest and in constant
// time; an algorithm is chosen by the key and never by the token; whoever cannot be told apart from nobody has nobody's scopes.

import { networkOf } from "./address.js";
import { areEqual, sha256 } from "./digest.js";
import { issuerKeys } from "./oidc.js";
import { ANYONE, OPERATOR } from "./pass.js";
import { problem } from "./reply.js";

/** The secret that an operator shows. */
const OPERATOR_TOKEN = "FEATHEREDGE_OPERATOR_TOKEN";
/** The tokens' digests, in JSON: `{name: {sha256, scopes, project}}`. */
const TOKENS = "FEATHEREDGE_TOKENS";

/** What needs no scope, and has the origin asked all the same. */
const READY = "/ready";

/** The scopes, by the number that the core gives them. */
const SCOPES = ["nothing", "read", "write", "admin"];
const ALL_SCOPES = new Set(SCOPES);

/** What `[vars.FEATHEREDGE.auth]` is where it says nothing; `crates/config/src/auth.rs` has the same. */
export const DEFAULTS = {
	mode: "none",
	jwks_ttl_seconds: 300,
	clock_skew_seconds: 60,
	default_scopes: ["read"],
	scope_claim: "scope",
	retry_after_seconds: 60,
	cors_origins: [],
};

/** What begins a word of the scope claim that means this service. */
const SCOPE_PREFIX = "featheredge:";

/** The longest that a header with a token may be: what an issuer signs is a few kilobytes. */
const MAX_AUTHORIZATION = 16 * 1024;

/** How many parts of credentials are looked at: a digest of each is taken. */
const MAX_PARTS = 16;

/** How long a browser need not ask again whether a page may call, in seconds: the most that browsers heed. */
const PREFLIGHT_SECONDS = "7200";

/**
 * Who a caller is.
 *
 * @typedef {object} Identity
 * @property {string} name what the caller is counted under
 * @property {ReadonlySet<string>} scopes
 * @property {string} caller
 * @property {import("./pass.js").Pass["credentials"]} credentials
 * @property {string} [authorization]
 * @property {boolean} [isNobody]
 *
 * @typedef {{ limit: (who: { key: string }) => Promise<{ success: boolean }> }} RateLimiter
 */

/** A refusal, as a reply of `problem`. */
class Refused extends Error {
	/** @param {import("./reply.js").Reply} reply */
	constructor(reply) {
		super("refused");
		this.reply = reply;
	}
}

function refuse(...args) {
	throw new Refused(problem(...args));
}

const unauthorized = (detail, error = "") =>
	refuse(401, "unauthorized", "Credentials are needed", detail, {
		"www-authenticate": `Bearer realm="featheredge"${error && `, error="${error}"`}`,
	});

const unusable = (detail) => refuse(503, "invalid-configuration", "The configuration cannot be used", detail);

const hex = (bytes) => Array.from(bytes, (byte) => byte.toString(16).padStart(2, "0")).join("");

/** The digest that is written in 64 hexadecimal digits. */
function digestOf(text) {
	if (!/^[0-9a-f]{64}$/i.test(text)) throw new TypeError("`sha256` must be 64 hexadecimal digits");
	return Uint8Array.from(text.match(/../g), (pair) => Number.parseInt(pair, 16));
}

/** The tokens that the secret tells of, or why it cannot be used. */
function readTokens(text) {
	try {
		const tokens = Object.entries(JSON.parse(text)).map(([name, { sha256, scopes, project = "" }]) => {
			const granted = new Set(scopes);
			if (![...granted].every((scope) => SCOPES.includes(scope))) throw new TypeError("`scopes` has an unknown one");
			if (typeof project !== "string") throw new TypeError("`project` must be a text");
			return { name, digest: digestOf(sha256), scopes: granted, caller: project && `project:${project}` };
		});
		return { tokens };
	} catch (error) {
		// What JSON's parser says quotes the text, which is a secret.
		const why = error instanceof SyntaxError ? "it is not JSON" : error.message;
		return { fault: `the secret \`${TOKENS}\` cannot be used: ${why}` };
	}
}

/** A list; the core tells of what is none. */
const listOf = (value) => (Array.isArray(value) ? value : undefined);

/** The claim's words, be it a text or a list. */
const words = (claim) => (Array.isArray(claim) ? claim : String(claim ?? "").split(" "));

export class Access {
	#secrets;
	#settings;
	/** What needs no credentials. */
	#anonymous;
	#limiter;
	#keys;
	#tokens;
	#operator;
	/** Whom claims were found to be of. @type {WeakMap<object, Identity>} */
	#subjects = new WeakMap();
	/** Whether nothing is asked of those who read, and nothing is added to what they get. */
	isOpen;

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
		this.#anonymous = new Set(listOf(open) ?? { none: ["read"], origin: ["read", "write"] }[mode] ?? []);
		this.#limiter = binding === undefined ? undefined : limiterOf(binding);
		this.#keys = mode === "oidc" ? issuerKeys(this.#settings) : undefined;
		this.#tokens = mode === "tokens" ? readTokens(secrets[TOKENS] ?? "{}") : {};
		this.isOpen =
			mode === "none" &&
			this.#anonymous.has("read") &&
			binding === undefined &&
			this.#settings.cors_origins.length === 0;
	}

	/** Why the secrets, or what the host is bound to, cannot be used; nothing where they can. */
	get fault() {
		const { rate_limit_binding: binding } = this.#settings;
		if (binding !== undefined && this.#limiter === undefined) {
			return `there is no binding \`${binding}\`, which \`auth.rate_limit_binding\` names`;
		}
		return this.#tokens.fault;
	}

	/**
	 * Lets a request in that needs the scope of this number, or says why not.
	 *
	 * @param {import("./handler.js").PlainRequest} request
	 * @param {number} number
	 * @returns {Promise<{ pass: import("./pass.js").Pass, refusal?: undefined } | { pass?: undefined, refusal: import("./reply.js").Reply }>}
	 */
	async admit(request, number) {
		const scope = SCOPES[number];
		const asksOrigin = request.path === READY;
		if (scope === "nothing" && !asksOrigin) return { pass: ANYONE };
		try {
			if (this.fault !== undefined) unusable(this.fault);
			if (scope === "nothing") {
				const { name, credentials } = this.#nobody(request);
				await this.#limit(`ready:${name}`);
				return { pass: { ...ANYONE, credentials } };
			}
			const identity = (await this.#known(request)) ?? this.#nobody(request);
			// What the origin is to judge, anyone makes up: the address alone tells such callers apart.
			if (identity.name.startsWith("origin:")) await this.#limit(this.#nobody(request).name);
			await this.#limit(identity.name);
			if (!identity.scopes.has(scope)) this.#refuse(identity, scope);
			const { caller, credentials, authorization } = identity;
			return { pass: { caller, credentials, authorization, isOperator: identity.scopes.has("admin") } };
		} catch (error) {
			if (error instanceof Refused) return { refusal: error.reply };
			throw error;
		}
	}

	/** Who the caller is. Whoever shows what is not good is counted as nobody, so that nobody tries one after another. */
	async #known(request) {
		try {
			return await this.#identify(request);
		} catch (error) {
			if (error instanceof Refused && error.reply.status === 401) await this.#limit(this.#nobody(request).name);
			throw error;
		}
	}

	/** Whoever shows nothing. */
	#nobody(request) {
		return {
			name: `address:${networkOf(request.address)}`,
			scopes: this.#anonymous,
			caller: "",
			isNobody: true,
			// The deployment's own credentials are not for those whom the origin is to judge.
			credentials: this.#settings.mode === "origin" ? "none" : "caller",
		};
	}

	#refuse({ isNobody }, scope) {
		const { mode } = this.#settings;
		if (isNobody && mode !== "none" && mode !== "origin") {
			unauthorized(`the request needs \`Authorization: Bearer\` with a token that allows to ${scope}`);
		}
		const detail = isNobody
			? `the request needs \`Authorization: Bearer\` with the secret \`${OPERATOR_TOKEN}\`, unless \`auth.anonymous_scopes\` has \`${scope}\``
			: `the token does not allow to ${scope}`;
		refuse(403, "forbidden", "The caller may not do this", detail);
	}

	/**
	 * Who the caller is; nobody where it shows nothing.
	 *
	 * @param {import("./handler.js").PlainRequest} request
	 * @returns {Promise<Identity | undefined>}
	 */
	async #identify(request) {
		const shown = request.header("authorization");
		if (shown === undefined) return undefined;
		if (shown.length > MAX_AUTHORIZATION) unauthorized("the credentials are too long", "invalid_request");
		const token = /^bearer +([^ ]+) *$/i.exec(shown)?.[1];
		// In whatever form it comes, the operator's token is shown to nobody else.
		const parts = shown.split(/[\s,]+/, MAX_PARTS);
		for (const part of token?.includes(",") === false ? [] : parts) {
			if (!(await this.#isOperators(await sha256(part)))) continue;
			refuse(
				403,
				"forbidden",
				"The caller may not do this",
				"an operator shows its token as `Authorization: Bearer`, and nothing else",
			);
		}
		const { mode } = this.#settings;
		const digest = token === undefined ? undefined : await sha256(token);
		if (digest !== undefined && (await this.#isOperators(digest))) {
			// What the origin shows the deployment is for nobody whom it judges.
			const caller = mode === "origin" ? "operator" : "";
			return { name: "operator", scopes: ALL_SCOPES, ...OPERATOR, caller };
		}
		if (mode === "none") return undefined;
		if (mode === "origin") {
			const name = `origin:${hex(await sha256(shown))}`;
			return { name, scopes: this.#anonymous, caller: name, credentials: "caller", authorization: shown };
		}
		if (digest === undefined) unauthorized("the credentials are no bearer token", "invalid_request");
		const known = mode === "oidc" ? await this.#signed(token, hex(digest), request) : this.#listed(digest);
		return { ...known, credentials: "deployment" };
	}

	/** Whether a digest is of the operator's token. */
	async #isOperators(digest) {
		const secret = this.#secrets[OPERATOR_TOKEN];
		if (!secret) return false;
		this.#operator ??= await sha256(secret);
		return areEqual(digest, this.#operator);
	}

	/** Whose digest it is. All are compared, whichever it is. */
	#listed(digest) {
		let found;
		for (const token of this.#tokens.tokens) {
			if (areEqual(token.digest, digest)) found = token;
		}
		if (found === undefined) unauthorized("the token is not known", "invalid_token");
		return { name: `token:${found.name}`, scopes: found.scopes, caller: found.caller };
	}

	/** Whom the issuer's token is of. */
	async #signed(token, digest, { waitUntil }) {
		const { claims, fault, isOutage } = await this.#keys.verify(token, digest, waitUntil);
		if (isOutage) refuse(503, "issuer-unreachable", "The issuer's keys cannot be had", fault, { "retry-after": "10" });
		if (fault !== undefined) unauthorized(fault, "invalid_token");
		// Whoever remembers a token gives the same claims for it.
		const known = this.#subjects.get(claims) ?? (await this.#subject(claims));
		this.#subjects.set(claims, known);
		return known;
	}

	/** Who the claims are of, and what they allow. */
	async #subject(claims) {
		const { audience, default_scopes, scope_claim: scopeClaim, project_claim: claim } = this.#settings;
		if (![claims.aud].flat().includes(audience)) {
			unauthorized("the token is for another audience", "invalid_token");
		}
		const project = claim === undefined ? "" : claims[claim];
		if (typeof project !== "string" || (claim !== undefined && project === "")) {
			unauthorized(`the token has no claim \`${claim}\``, "invalid_token");
		}
		const own = words(claims[scopeClaim]).filter((word) => String(word).startsWith(SCOPE_PREFIX));
		const scopes = new Set([...default_scopes, ...own.map((word) => word.slice(SCOPE_PREFIX.length))]);
		return {
			name: `subject:${hex(await sha256(String(claims.sub)))}`,
			scopes,
			caller: project && `project:${project}`,
		};
	}

	/** Counts the request, and refuses it where there were too many. */
	async #limit(key) {
		if (this.#limiter === undefined) return;
		// A limiter that fails must not take the service with it.
		const { success } = await this.#limiter.limit({ key }).catch(() => ({ success: true }));
		if (success) return;
		const headers = { "retry-after": String(this.#settings.retry_after_seconds) };
		refuse(429, "too-many-requests", "The caller asks too often", "the caller's rate limit is used up", headers);
	}

	#isAllowedSite(site) {
		const { cors_origins: sites } = this.#settings;
		return site !== undefined && (sites.includes("*") || sites.includes(site));
	}

	/**
	 * Answers a browser that asks whether a page may call; nothing where it does not ask, or is not ours to answer.
	 *
	 * @param {import("./handler.js").PlainRequest} request
	 * @returns {import("./reply.js").Reply | undefined}
	 */
	preflight(request) {
		if (request.method !== "OPTIONS" || request.header("access-control-request-method") === undefined) return undefined;
		if (this.#settings.cors_origins.length === 0) return undefined;
		if (!this.#isAllowedSite(request.header("origin"))) {
			const detail = "pages of this site may not call: see `auth.cors_origins`";
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
	 * The reply with what lets a page of an allowed site read it.
	 *
	 * @param {import("./handler.js").PlainRequest} request
	 * @param {import("./reply.js").Reply} reply
	 * @param {boolean} [isOwn] whether it is an answer of `preflight`
	 * @returns {import("./reply.js").Reply}
	 */
	shared(request, reply, isOwn = false) {
		if (this.#settings.cors_origins.length === 0) return reply;
		const site = request.header("origin");
		// Whoever may call is said here alone: the origin's word would go beside it, for a site that it does not know.
		const kept = reply.headers.filter(([name]) => !name.startsWith("access-control-") || isOwn);
		const headers = [...kept, ["vary", "origin"]];
		if (this.#isAllowedSite(site)) {
			headers.push(["access-control-allow-origin", this.#settings.cors_origins.includes("*") ? "*" : site]);
			headers.push(["access-control-expose-headers", "age, cache-status, retry-after, server-timing"]);
		}
		return { ...reply, headers };
	}
}
