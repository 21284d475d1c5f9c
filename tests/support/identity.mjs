// A double of an identity provider that signs with real keys: its discovery document, its keys, and the endpoint where clients get tokens.

import { createHmac, createPublicKey, generateKeyPairSync, sign } from "node:crypto";
import { once } from "node:events";
import { createServer } from "node:http";

const base64url = (value) =>
	Buffer.from(typeof value === "string" ? value : JSON.stringify(value)).toString("base64url");

/** How each algorithm makes a key and signs. */
const ALGORITHMS = {
	RS256: { make: () => generateKeyPairSync("rsa", { modulusLength: 2048 }), options: {} },
	ES256: {
		make: () => generateKeyPairSync("ec", { namedCurve: "P-256" }),
		options: { dsaEncoding: "ieee-p1363" },
	},
};

/**
 * @typedef {object} Key
 * @property {string} kid
 * @property {"RS256" | "ES256"} alg
 * @property {import("node:crypto").KeyObject} privateKey
 * @property {object} jwk its public half, as it is published
 *
 * @typedef {object} Identity
 * @property {string} url the issuer
 * @property {Key[]} keys those that are published
 * @property {number} asked how often the keys were asked for
 * @property {number} discovered how often its discovery document was asked for
 * @property {object} [discovery] laid over its discovery document
 * @property {boolean} isDown whether it answers 500 to everything
 * @property {(alg: "RS256" | "ES256", kid?: string) => Key} makeKey a new key, not published yet
 * @property {(claims?: object, options?: { key?: Key, header?: object }) => string} token signs claims; by default good ones
 * @property {() => Promise<void>} stop
 */

/** @returns {Promise<Identity>} */
export async function startIdentity({ audience = "features", claims: extra = {} } = {}) {
	let made = 0;
	const server = createServer(async (incoming, outgoing) => {
		for await (const _ of incoming) {
			// What a client says of itself is not looked at: this is a double.
		}
		const answer = (body) => outgoing.writeHead(200, { "content-type": "application/json" }).end(JSON.stringify(body));
		if (incoming.url === "/.well-known/openid-configuration") identity.discovered += 1;
		if (identity.isDown) return outgoing.writeHead(500).end();
		if (incoming.url === "/.well-known/openid-configuration") {
			const { url } = identity;
			return answer({ issuer: url, jwks_uri: `${url}/keys`, token_endpoint: `${url}/token`, ...identity.discovery });
		}
		if (incoming.url === "/keys") {
			identity.asked += 1;
			return answer({ keys: identity.keys.map(({ jwk }) => jwk) });
		}
		if (incoming.url === "/token") {
			return answer({ access_token: identity.token(extra), token_type: "Bearer", expires_in: 300 });
		}
		outgoing.writeHead(404).end();
	});
	server.listen(0, "127.0.0.1");
	await once(server, "listening");

	const identity = {
		url: `http://127.0.0.1:${server.address().port}`,
		keys: [],
		asked: 0,
		discovered: 0,
		isDown: false,
		makeKey(alg, kid = `key-${++made}`) {
			const { privateKey, publicKey } = ALGORITHMS[alg].make();
			return { kid, alg, privateKey, jwk: { ...publicKey.export({ format: "jwk" }), kid, alg, use: "sig" } };
		},
		token(claims = {}, { key = identity.keys[0], header = {} } = {}) {
			const now = Math.floor(Date.now() / 1000);
			const all = { iss: identity.url, aud: audience, sub: "somebody", iat: now, exp: now + 300, ...claims };
			const signed = `${base64url({ alg: key.alg, kid: key.kid, typ: "JWT", ...header })}.${base64url(all)}`;
			const { options } = ALGORITHMS[key.alg];
			return `${signed}.${sign("sha256", Buffer.from(signed), { key: key.privateKey, ...options }).toString("base64url")}`;
		},
		async stop() {
			server.closeAllConnections();
			server.close();
			await once(server, "close");
		},
	};
	identity.keys = [identity.makeKey("RS256"), identity.makeKey("ES256")];
	return identity;
}

/** A token that is signed by nobody, and one whose signature is a MAC by a public key: what verifiers have fallen for. */
export function forgeries(identity) {
	const [header, claims] = identity.token().split(".");
	const withAlgorithm = (alg) => base64url({ ...JSON.parse(Buffer.from(header, "base64url")), alg });
	const pem = createPublicKey(identity.keys[0].privateKey).export({ type: "spki", format: "pem" });
	const signed = `${withAlgorithm("HS256")}.${claims}`;
	return {
		"no algorithm": `${withAlgorithm("none")}.${claims}.`,
		"a MAC by the public key": `${signed}.${createHmac("sha256", pem).update(signed).digest("base64url")}`,
	};
}
