// The runtime's backends on Workers: Workers KV, the shards of the storage tier, and the invalidation log,
// encrypted if the deployment has keys.

import * as core from "featheredge-core";
import { ConfigError } from "../errors.js";
import { enter } from "../runtime/instance.js";
import { InvalidKeysError, openInvalidations, parse, Seal } from "../runtime/seal.js";
import { kvStore } from "../stores/kv.js";
import { sealedBy } from "../stores/sealed.js";

/**
 * The keys in JSON: `{"current": name, "keys": {name: 32 bytes in base64}, "hmac_secret": 32 bytes in
 * base64}`; `hmac_secret` is optional.
 */
const KEYS = "FEATHEREDGE_STORE_ENCRYPTION_KEYS";
/** The secret's former name. It is refused, since ignoring it would store rows in clear. */
const RENAMED_KEYS = "FEATHEREDGE_STORE_KEYS";

/** The timeout of writes to KV in the background, in milliseconds: the platform's own limit. */
const KV_WRITE_TIMEOUT_MS = 30_000;

/**
 * The encryption of a deployment's stores, by its secret.
 *
 * @param {Record<string, any>} env
 * @returns {{ seal?: Seal, hmacSecret?: string, pseudonymizesKeys: boolean, fault?: string }}
 */
export function sealFromEnv(env) {
	const secret = env[KEYS];
	const pseudonymizesKeys = env.FEATHEREDGE?.pseudonymize_keys === true;
	if (env[RENAMED_KEYS] !== undefined)
		return { pseudonymizesKeys, fault: `the secret \`${RENAMED_KEYS}\` is now \`${KEYS}\`` };
	if (secret === undefined && !pseudonymizesKeys) return { pseudonymizesKeys };
	try {
		const table = secret === undefined ? undefined : parse(secret);
		const seal = table === undefined ? undefined : new Seal(table);
		if (!pseudonymizesKeys || seal?.pseudonymizesKeys)
			return { seal, hmacSecret: table?.hmac_secret, pseudonymizesKeys };
		return { pseudonymizesKeys, fault: `\`pseudonymize_keys\` needs the secret \`${KEYS}\`, with \`hmac_secret\`` };
	} catch (error) {
		if (!(error instanceof InvalidKeysError)) throw error;
		return { pseudonymizesKeys, fault: `the secret \`${KEYS}\` cannot be used: ${error.message}` };
	}
}

/**
 * @param {Record<string, any>} env
 * @param {{ project: string, l2: string, l3: string, l3ShardBytes: number, invalidationLog: string }} bindings
 * @param {Seal} [seal]
 * @returns {import("../runtime/runtime.js").Backends}
 */
export function backendsOf(env, bindings, seal) {
	if (env.FEATHEREDGE?.l3?.enabled === true) {
		for (const [key, name] of [
			["binding", bindings.l3],
			["invalidation_log_binding", bindings.invalidationLog],
		]) {
			if (env[name] === undefined) throw new ConfigError(`there is no binding \`${name}\`, which \`l3.${key}\` names`);
		}
	}
	const sealed = (store) => (seal === undefined ? store : sealedBy(store, seal));
	const l2 = sealed({
		getMany: (keys) => kvStore(env[bindings.l2]).getMany(keys),
		async setMany(entries, options) {
			const written = await kvStore(env[bindings.l2]).setMany(entries, options);
			// Consecutive batches of writes would block the isolate's other work without a pause.
			await new Promise((resolve) => setTimeout(resolve, 1));
			return written;
		},
	});
	const l3 = sealed(shardsOf(env, bindings));
	return {
		stores: { l2_distributed: { ...l2, writeTimeoutMs: KV_WRITE_TIMEOUT_MS }, l3_storage: l3 },
		log: (effect) => callLog(env[bindings.invalidationLog], bindings.project, effect, seal),
	};
}

/** A decoded response of a Durable Object. */
function decoded(value) {
	if (value === undefined) throw new Error("the Durable Object's response is malformed");
	return value;
}

/** The platform's error for a message of more than 32 MiB. */
const TOO_LARGE = /return values are limited to/;

/** The shards of the storage tier as one store. */
function shardsOf(env, { l3, l3ShardBytes }) {
	const shardOf = (shard) => env[l3].getByName(`shard-${shard}`);
	return {
		async getMany(keys, { shard }) {
			const request = enter(() => core.encode_read(keys));
			const response = await shardOf(shard)
				.read(request)
				.catch((error) => {
					if (TOO_LARGE.test(error.message)) error.isTooLarge = true;
					throw error;
				});
			return decoded(enter(() => core.decode_values(response)));
		},
		async setMany(entries, { ttl, shard }) {
			const [keys, values] = [0, 1].map((part) => entries.map((entry) => entry[part]));
			const request = enter(() => core.encode_write(keys, values, ttl, l3ShardBytes));
			const response = await shardOf(shard).write(request);
			return decoded(enter(() => core.decode_written(response)));
		},
	};
}

/**
 * Sends an `Append` to the invalidation log of a project; resolves with its `Appended`. Invalidations are
 * hashes of entities' keys.
 */
async function callLog(namespace, project, { request }, seal) {
	const log = namespace.getByName(project);
	if (!seal?.pseudonymizesKeys) return log.append(request);
	const context = `invalidation-log:${project}`;
	const invalidations = enter(() => core.entry_of_append(request));
	const sealed = invalidations.length > 0 ? await seal.seal(context, invalidations) : invalidations;
	const response = await log.append(enter(() => core.append_with_entry(request, sealed)));
	const returned = decoded(enter(() => core.entries_of_appended(response)));
	const opened = await openInvalidations(seal, context, returned);
	return enter(() => core.appended_with_entries(response, opened));
}
