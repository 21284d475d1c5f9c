// The platform's stores as the runtime reaches them: Workers KV, the shards of the storage tier, the invalidation log; sealed where the
// deployment has keys for it.

import * as core from "featheredge-core";
import { enter } from "../runtime/instance.js";
import { openMarks, parse, Seal, Unusable } from "../runtime/seal.js";
import { kvStore } from "../stores/kv.js";
import { sealedBy } from "../stores/sealed.js";

/** The keys, in JSON: `{"current": name, "keys": {name: 32 bytes in base64}, "hmac_secret": 32 bytes in base64}`, of which the last may be left out. */
const KEYS = "FEATHEREDGE_STORE_ENCRYPTION_KEYS";
/** The secret\'s old name: read by nobody, so a deployment that still has it would store rows in clear. */
const FORMER_KEYS = "FEATHEREDGE_STORE_KEYS";

/** How long KV may take to write behind an answer, in milliseconds: nobody waits, and the platform lets nothing go on for longer. */
const KV_WRITE_TIMEOUT_MS = 30_000;

/**
 * How a deployment's stores are sealed, as its secret has it.
 *
 * @param {Record<string, any>} env
 * @returns {{ seal?: Seal, hmacSecret?: string, isPrivate: boolean, fault?: string }}
 */
export function sealingOf(env) {
	const secret = env[KEYS];
	const isPrivate = env.FEATHEREDGE?.pseudonymize_keys === true;
	if (env[FORMER_KEYS] !== undefined) return { isPrivate, fault: `the secret \`${FORMER_KEYS}\` is now \`${KEYS}\`` };
	if (secret === undefined && !isPrivate) return { isPrivate };
	try {
		const table = secret === undefined ? undefined : parse(secret);
		const seal = table === undefined ? undefined : new Seal(table);
		if (!isPrivate || seal?.hides) return { seal, hmacSecret: table?.hmac_secret, isPrivate };
		return { isPrivate, fault: `\`pseudonymize_keys\` needs the secret \`${KEYS}\`, with \`names\`` };
	} catch (error) {
		if (!(error instanceof Unusable)) throw error;
		return { isPrivate, fault: `the secret \`${KEYS}\` cannot be used: ${error.message}` };
	}
}

/**
 * @param {Record<string, any>} env
 * @param {{ project: string, l2: string, l3: string, l3ShardBytes: number, invalidationLog: string }} bindings
 * @param {Seal} [seal]
 * @returns {import("../runtime/runtime.js").Reach}
 */
export function reachOf(env, bindings, seal) {
	const sealed = (store) => (seal === undefined ? store : sealedBy(store, seal));
	const l2 = sealed({
		getMany: (keys) => kvStore(env[bindings.l2]).getMany(keys),
		async setMany(entries, options) {
			const written = await kvStore(env[bindings.l2]).setMany(entries, options);
			// What else the isolate has to do gets its turn before the next batch: writes that follow each other without a pause keep all else waiting.
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

/** What the answer of an object says. */
function understood(value) {
	if (value === undefined) throw new Error("the object's answer cannot be read");
	return value;
}

/** What the runtime says of a call whose message or answer is larger than the 32 MiB that it allows. */
const TOO_LARGE = /return values are limited to/;

/** The storage tier. */
function shardsOf(env, { l3, l3ShardBytes }) {
	const shardOf = (shard) => env[l3].getByName(`shard-${shard}`);
	return {
		async getMany(keys, { shard }) {
			const request = enter(() => core.encode_read(keys));
			const answer = await shardOf(shard)
				.read(request)
				.catch((error) => {
					if (TOO_LARGE.test(error.message)) error.isTooLarge = true;
					throw error;
				});
			return understood(enter(() => core.decode_values(answer)));
		},
		async setMany(entries, { ttl, shard }) {
			const [keys, values] = [0, 1].map((part) => entries.map((entry) => entry[part]));
			const request = enter(() => core.encode_write(keys, values, ttl, l3ShardBytes));
			const answer = await shardOf(shard).write(request);
			return understood(enter(() => core.decode_written(answer)));
		},
	};
}

/** Calls the invalidation log of a project with an `Append`, which an `Appended` answers. Marks are hashes of entities' keys. */
async function callLog(namespace, project, { request }, seal) {
	const log = namespace.getByName(project);
	if (!seal?.hides) return log.append(request);
	const place = `invalidation-log:${project}`;
	const marks = enter(() => core.entry_of_append(request));
	const sealed = marks.length > 0 ? await seal.seal(place, marks) : marks;
	const answer = await log.append(enter(() => core.append_with_entry(request, sealed)));
	const told = understood(enter(() => core.entries_of_appended(answer)));
	const opened = await openMarks(seal, place, told);
	return enter(() => core.appended_with_entries(answer, opened));
}
