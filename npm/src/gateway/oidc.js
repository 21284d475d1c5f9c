// Tokens that an identity provider has signed: its keys, fetched, kept and rotated; and what a token of theirs says.
//
// It knows no right and no path. Its invariants: the algorithm is the key's, whatever the token says; and nothing is asked of a place
// that is neither configured nor the issuer's own.

import { readBytes } from "../runtime/body.js";

/** How soon the keys are asked for again, whoever asks for whatever reason, in milliseconds. */
const RETRY_MILLIS = 10_000;
/** How often a request looks whether the keys have come that another has asked for, in milliseconds. */
const LOOK_MILLIS = 10;
/** How long keys are believed past their time while the issuer cannot be reached, in milliseconds. */
const GRACE_MILLIS = 3_600_000;
/** How long the issuer may take, in milliseconds. */
const TIMEOUT_MILLIS = 5_000;
/** The longest that a document of the issuer may be, in bytes: keys are a kilobyte each. */
const MAX_BYTES = 256 * 1024;
/** The most keys that are looked at. */
const MAX_KEYS = 64;
/** How many tokens that were found genuine are remembered, and how long they may be: some megabytes of an isolate's 128. */
const MAX_KNOWN = 1_000;
const MAX_KNOWN_LENGTH = 4_096;
/** The shortest modulus that is trusted, in bytes: RFC 7518, 3.3. */
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

/** A key for signatures of one algorithm; nothing where it is none. */
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
	const answer = await fetch(url, { redirect: "manual", signal: AbortSignal.timeout(TIMEOUT_MILLIS) });
	try {
		if (answer.status !== 200) throw new Error(`status ${answer.status}`);
		return JSON.parse(decoder.decode(await readBytes(answer, MAX_BYTES, true)));
	} catch (error) {
		await answer.body?.cancel();
		throw error;
	}
}

/** @param {{ issuer: string, jwks_url?: string, jwks_ttl_seconds: number, clock_skew_seconds: number }} settings */
export function issuerKeys(settings) {
	const { issuer, jwks_url: jwksUrl, jwks_ttl_seconds: ttlSeconds, clock_skew_seconds: skewSeconds } = settings;
	const retryMillis = Math.min(RETRY_MILLIS, ttlSeconds * 1000);
	let keys = [];
	let fetchedAt = Number.NEGATIVE_INFINITY;
	let triedAt = Number.NEGATIVE_INFINITY;
	let isAsking = false;
	/**
	 * What tokens say whose signature was right, with the key that it was right by; the one that was used last stands last.
	 *
	 * @type {Map<string, { header: object, claims: object, key: object }>}
	 */
	const known = new Map();

	/** Remembers a token, by its digest. */
	function remember(digest, token, entry) {
		if (token.length > MAX_KNOWN_LENGTH) return;
		known.delete(digest);
		known.set(digest, entry);
		if (known.size > MAX_KNOWN) known.delete(known.keys().next().value);
	}

	/** Where the keys are. */
	async function place() {
		if (jwksUrl !== undefined) return jwksUrl;
		const found = await fetchJson(`${issuer.replace(/\/+$/, "")}/.well-known/openid-configuration`);
		if (found.issuer !== issuer) throw new Error("another issuer");
		if (new URL(found.jwks_uri).origin !== new URL(issuer).origin) throw new Error("keys of another site");
		return found.jwks_uri;
	}

	/** Asks for the keys; the old ones stay where that fails. */
	async function refresh() {
		triedAt = Date.now();
		isAsking = true;
		try {
			const { keys: found } = await fetchJson(await place());
			const imported = await Promise.all(found.slice(0, MAX_KEYS).map((jwk) => importKey(jwk).catch(() => undefined)));
			keys = imported.filter((key) => key !== undefined);
			fetchedAt = Date.now();
		} catch {
			// Who needs a key finds that there is none.
		} finally {
			isAsking = false;
		}
	}

	/** Waits for the keys that another request asks for, by timers of its own: the Workers runtime lets none wait for another's promise. */
	async function answered() {
		for (let waited = 0; isAsking && waited < TIMEOUT_MILLIS; waited += LOOK_MILLIS) {
			await new Promise((resolve) => setTimeout(resolve, LOOK_MILLIS));
		}
	}

	/** The keys that a token may have been signed with: those of its algorithm, and of its key's name, where it says one. */
	const fitting = ({ kid, alg }) => keys.filter((key) => key.name === alg && (kid === undefined || key.kid === kid));

	async function keysFor(header, waitUntil) {
		const isDue = Date.now() - fetchedAt > ttlSeconds * 1000;
		if (isDue || fitting(header).length === 0) {
			if (Date.now() - triedAt >= retryMillis) {
				const refreshed = refresh();
				// Others need the keys where this caller goes.
				waitUntil?.(refreshed);
				await refreshed;
			} else if (fitting(header).length === 0) await answered();
		}
		const isBelieved = Date.now() - fetchedAt <= ttlSeconds * 1000 + GRACE_MILLIS;
		return { fit: isBelieved ? fitting(header) : [], isOutage: !isBelieved || keys.length === 0 };
	}

	/** What is wrong with the claims, if anything is. */
	function faultOf({ iss, exp, nbf }) {
		const now = Date.now() / 1000;
		if (iss !== issuer) return "the token is of another issuer";
		if (typeof exp !== "number" || now >= exp + skewSeconds) return "the token has expired";
		if (nbf !== undefined && !(typeof nbf === "number" && now >= nbf - skewSeconds))
			return "the token is not valid yet";
		return undefined;
	}

	return {
		/**
		 * What a token says, where the issuer has signed it and it is of this time.
		 *
		 * Its signature is checked once for as long as the key is believed that it was made with: of a token that is shown again, only the
		 * time is looked at.
		 *
		 * @param {string} token
		 * @param {string} digest of the token, which is known by it alone
		 * @param {(done: Promise<void>) => void} [waitUntil]
		 * @returns {Promise<{ claims?: Record<string, unknown>, fault?: string, isOutage?: boolean }>}
		 */
		async verify(token, digest, waitUntil) {
			const seen = known.get(digest);
			if (seen !== undefined) {
				const { header, claims, key } = seen;
				const fault = faultOf(claims);
				// Keys that were fetched anew are other ones, so a withdrawn key ends what it has signed.
				if (fault === undefined && (await keysFor(header, waitUntil)).fit.includes(key)) {
					remember(digest, token, seen);
					return { claims };
				}
				known.delete(digest);
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
			// RFC 7515, 4.1.11: what a token declares critical must be understood, and nothing is.
			if (header.crit !== undefined) return malformed;
			// Before the issuer is asked for a key: most tokens that are refused are old ones.
			const fault = faultOf(claims);
			if (fault !== undefined) return { fault };
			const { fit, isOutage } = await keysFor(header, waitUntil);
			if (fit.length === 0) {
				return isOutage
					? { fault: "the issuer's keys cannot be had", isOutage }
					: { fault: "no key of the issuer has signed the token" };
			}
			const signed = new TextEncoder().encode(`${parts[0]}.${parts[1]}`);
			for (const key of fit) {
				if (!(await crypto.subtle.verify(key.algorithm, key.key, signature, signed))) continue;
				remember(digest, token, { header, claims, key });
				return { claims };
			}
			return { fault: "the token's signature is wrong" };
		},
	};
}
