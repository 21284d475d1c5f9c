// Verification of an identity provider's signed tokens (JWT), with its keys (JWKS) fetched, cached and
// rotated.
//
// It knows neither scopes nor paths. Invariants: the key decides the algorithm, whatever the token says;
// requests go only to the configured URL or to the issuer's own host.

import { readBytes } from "../runtime/body.js";

/** The shortest time between two fetches of the keys, in milliseconds. */
const RETRY_MS = 10_000;
/** How often a request polls for the keys that another request fetches, in milliseconds. */
const POLL_MS = 10;
/** How long keys are used past their TTL while the issuer is unreachable, in milliseconds. */
const MAX_STALE_MS = 3_600_000;
/** The timeout of a request to the issuer, in milliseconds. */
const TIMEOUT_MS = 5_000;
/** The longest document of the issuer, in bytes: a key has about a kilobyte. */
const MAX_BYTES = 256 * 1024;
/** The most keys that are imported. */
const MAX_KEYS = 64;
/**
 * The most verified tokens that are remembered, and their longest length: some megabytes of an isolate's
 * 128.
 */
const MAX_REMEMBERED = 1_000;
const MAX_REMEMBERED_LENGTH = 4_096;
/** The shortest RSA modulus that is accepted, in bytes (RFC 7518, 3.3). */
const MIN_MODULUS = 256;

const RS256 = { name: "RSASSA-PKCS1-v1_5", hash: "SHA-256" };
const ES256 = { name: "ECDSA", namedCurve: "P-256", hash: "SHA-256" };

const decoder = new TextDecoder("utf-8", { fatal: true });

function bytesOf(base64url) {
	if (!/^[\w-]*$/.test(base64url)) throw new TypeError("not base64url");
	return Uint8Array.from(atob(base64url.replaceAll("-", "+").replaceAll("_", "/")), (char) => char.charCodeAt(0));
}

const objectOf = (base64url) => {
	const object = JSON.parse(decoder.decode(bytesOf(base64url)));
	if (typeof object !== "object" || object === null || Array.isArray(object)) throw new TypeError("not an object");
	return object;
};

/** The verification key of a JWK; `undefined` if it is of another kind. */
async function importKey(jwk) {
	const { kty, crv, n, e, x, y, use, alg, kid } = jwk;
	if (use !== undefined && use !== "sig") return undefined;
	const isRsa = kty === "RSA" && bytesOf(n).length >= MIN_MODULUS;
	if (!isRsa && !(kty === "EC" && crv === "P-256")) return undefined;
	const [name, algorithm, material] = isRsa ? ["RS256", RS256, { kty, n, e }] : ["ES256", ES256, { kty, crv, x, y }];
	if (alg !== undefined && alg !== name) return undefined;
	const key = await crypto.subtle.importKey("jwk", material, algorithm, false, ["verify"]);
	return { kid, name, algorithm, key };
}

async function fetchJson(url) {
	const answer = await fetch(url, { redirect: "manual", signal: AbortSignal.timeout(TIMEOUT_MS) });
	try {
		if (answer.status !== 200) throw new Error(`status ${answer.status}`);
		return JSON.parse(decoder.decode(await readBytes(answer, MAX_BYTES, true)));
	} catch (error) {
		await answer.body?.cancel();
		throw error;
	}
}

/**
 * @param {{ issuer: string, jwks_url?: string, jwks_ttl_seconds: number, clock_skew_seconds: number }}
 * settings
 */
export function issuerKeys(settings) {
	const { issuer, jwks_url: jwksUrl, jwks_ttl_seconds: ttlSeconds, clock_skew_seconds: skewSeconds } = settings;
	const retryMillis = Math.min(RETRY_MS, ttlSeconds * 1000);
	let keys = [];
	let fetchedAt = Number.NEGATIVE_INFINITY;
	let triedAt = Number.NEGATIVE_INFINITY;
	let isFetching = false;
	/**
	 * The contents of tokens with a valid signature, and the key that verified it; the most recently used token is last.
	 *
	 * @type {Map<string, { header: object, claims: object, key: object }>}
	 */
	const verified = new Map();

	/** Remembers a token, by its digest. */
	function remember(digest, token, entry) {
		if (token.length > MAX_REMEMBERED_LENGTH) return;
		verified.delete(digest);
		verified.set(digest, entry);
		if (verified.size > MAX_REMEMBERED) verified.delete(verified.keys().next().value);
	}

	/** The URL of the keys. */
	async function jwksEndpoint() {
		if (jwksUrl !== undefined) return jwksUrl;
		const found = await fetchJson(`${issuer.replace(/\/+$/, "")}/.well-known/openid-configuration`);
		if (found.issuer !== issuer) throw new Error("another issuer");
		if (new URL(found.jwks_uri).origin !== new URL(issuer).origin) throw new Error("keys of another site");
		return found.jwks_uri;
	}

	/** Fetches the keys; the old ones stay if that fails. */
	async function refresh() {
		triedAt = Date.now();
		isFetching = true;
		try {
			const { keys: found } = await fetchJson(await jwksEndpoint());
			const imported = await Promise.all(found.slice(0, MAX_KEYS).map((jwk) => importKey(jwk).catch(() => undefined)));
			keys = imported.filter((key) => key !== undefined);
			fetchedAt = Date.now();
		} catch {
			// Verification fails later for want of a key.
		} finally {
			isFetching = false;
		}
	}

	/** Polls for the keys that another request fetches: workerd lets no request await another's promise. */
	async function fetched() {
		for (let waited = 0; isFetching && waited < TIMEOUT_MS; waited += POLL_MS) {
			await new Promise((resolve) => setTimeout(resolve, POLL_MS));
		}
	}

	/** The keys that may have signed a token: those of its algorithm, and of its key id, if it has one. */
	const matching = ({ kid, alg }) => keys.filter((key) => key.name === alg && (kid === undefined || key.kid === kid));

	async function keysFor(header, waitUntil) {
		const isDue = Date.now() - fetchedAt > ttlSeconds * 1000;
		if (isDue || matching(header).length === 0) {
			if (Date.now() - triedAt >= retryMillis) {
				const refreshed = refresh();
				// The fetch continues for other requests when this caller disconnects.
				waitUntil?.(refreshed);
				await refreshed;
			} else if (matching(header).length === 0) await fetched();
		}
		const areUsable = Date.now() - fetchedAt <= ttlSeconds * 1000 + MAX_STALE_MS;
		return { candidates: areUsable ? matching(header) : [], isOutage: !areUsable || keys.length === 0 };
	}

	/** Why the claims are invalid; `undefined` if they are valid. */
	function faultOf({ iss, exp, nbf }) {
		const now = Date.now() / 1000;
		if (iss !== issuer) return "the token is from another issuer";
		if (typeof exp !== "number" || now >= exp + skewSeconds) return "the token has expired";
		if (nbf !== undefined && !(typeof nbf === "number" && now >= nbf - skewSeconds))
			return "the token is not valid yet";
		return undefined;
	}

	return {
		/**
		 * Verifies a token's signature and times; returns its claims.
		 *
		 * A signature is verified once for as long as its key is valid. For a remembered token only the times are checked.
		 *
		 * @param {string} token
		 * @param {string} digest of the token, by which it is remembered
		 * @param {(done: Promise<void>) => void} [waitUntil]
		 * @returns {Promise<{ claims?: Record<string, unknown>, fault?: string, isOutage?: boolean }>}
		 */
		async verify(token, digest, waitUntil) {
			const seen = verified.get(digest);
			if (seen !== undefined) {
				const { header, claims, key } = seen;
				const fault = faultOf(claims);
				// Every fetch creates new key objects, so a withdrawn key invalidates its tokens.
				if (fault === undefined && (await keysFor(header, waitUntil)).candidates.includes(key)) {
					remember(digest, token, seen);
					return { claims };
				}
				verified.delete(digest);
				if (fault !== undefined) return { fault };
			}
			const parts = token.split(".");
			const malformed = { fault: "the token is not a signed JSON Web Token" };
			if (parts.length !== 3) return malformed;
			let header;
			let claims;
			let signature;
			try {
				[header, claims] = [objectOf(parts[0]), objectOf(parts[1])];
				signature = bytesOf(parts[2]);
			} catch {
				return malformed;
			}
			// No critical extension is understood, so a token that declares one is refused (RFC 7515,
			// 4.1.11).
			if (header.crit !== undefined) return malformed;
			// The times come before a fetch of keys: most refused tokens have expired.
			const fault = faultOf(claims);
			if (fault !== undefined) return { fault };
			const { candidates, isOutage } = await keysFor(header, waitUntil);
			if (candidates.length === 0) {
				return isOutage
					? { fault: "the issuer's keys are unavailable", isOutage }
					: { fault: "no key of the issuer has signed the token" };
			}
			const signed = new TextEncoder().encode(`${parts[0]}.${parts[1]}`);
			for (const key of candidates) {
				if (!(await crypto.subtle.verify(key.algorithm, key.key, signature, signed))) continue;
				remember(digest, token, { header, claims, key });
				return { claims };
			}
			return { fault: "the token's signature is wrong" };
		},
	};
}
