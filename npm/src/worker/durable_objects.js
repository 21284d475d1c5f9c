// The Worker's Durable Object classes: the shards of the storage tier, the invalidation log, the merged
// windows.
//
// They pass bytes to Rust (src/durable.rs), and know nothing of their meaning. An object outlives the wasm
// instance of its Rust part, which any trap in the isolate replaces. Invariant: no call enters a replaced
// instance. State that Rust cannot read again from the object's storage is kept here.
//
// Only a Worker with a binding to a class can call what it exports.

import { DurableObject } from "cloudflare:workers";
import { InvalidationLog as Log, StorageShard as Shard, MergedWindows as Windows } from "featheredge-core";
import * as instance from "../runtime/instance.js";

/** The Rust part of an object, created anew from its storage in each wasm instance. */
class RustObject {
	#create;
	#object;
	#generation = 0;

	/** @param {() => any} create */
	constructor(create) {
		this.#create = create;
	}

	/**
	 * Calls the Rust part.
	 *
	 * @template T
	 * @param {(object: any) => T} call
	 */
	call(call) {
		try {
			if (this.#generation !== instance.generation) {
				this.#object = this.#create();
				this.#generation = instance.generation;
			}
			return call(this.#object);
		} catch (error) {
			console.error(error);
			// Its state may be ahead of the storage.
			this.#generation = 0;
			// Rust's own errors are texts; anything else is a trap.
			if (typeof error !== "string") instance.replace();
			throw new Error("the Durable Object failed; its error is logged");
		}
	}
}

/** The windows of all isolates, merged. */
export class MergedWindows extends DurableObject {
	#windows = new Uint8Array();
	#isStored = true;
	#rust = new RustObject(() => new Windows(this.ctx, this.env.FEATHEREDGE));

	constructor(ctx, env) {
		super(ctx, env);
		ctx.blockConcurrencyWhile(async () => {
			this.#windows = (await ctx.storage.get("windows")) ?? this.#windows;
		});
	}

	/**
	 * Merges the windows of an isolate; an empty message returns those of all isolates.
	 *
	 * @param {Uint8Array} update
	 */
	async merge(update) {
		if (update.length === 0) return this.#windows;
		const { merged, alarm } = this.#rust.call((windows) => ({
			merged: windows.merge(this.#windows, update, this.#isStored),
			alarm: windows.take_alarm(),
		}));
		this.#windows = merged;
		this.#isStored = false;
		await alarm;
		return new Uint8Array();
	}

	async alarm() {
		this.#isStored = true;
		await this.ctx.storage.put("windows", this.#windows);
	}
}

/** One shard of the storage tier (L3). */
export class StorageShard extends DurableObject {
	#hasAlarm = false;
	#rust = new RustObject(() => new Shard(this.ctx));

	constructor(ctx, env) {
		super(ctx, env);
		ctx.blockConcurrencyWhile(async () => {
			this.#hasAlarm = (await ctx.storage.getAlarm()) !== null;
		});
	}

	/** @param {Uint8Array} request a `Read`; the response is `Values` */
	read(request) {
		return this.#rust.call((shard) => shard.read(request));
	}

	/** @param {Uint8Array} request a `Write`; the response is a `Written` */
	async write(request) {
		const { response, alarm } = this.#rust.call((shard) => ({
			response: shard.write(request, this.#hasAlarm),
			alarm: shard.take_alarm(),
		}));
		this.#hasAlarm = true;
		await alarm;
		return response;
	}

	async alarm() {
		const alarm = this.#rust.call((shard) => {
			shard.sweep();
			return shard.take_alarm();
		});
		this.#hasAlarm = alarm !== undefined;
		await alarm;
	}
}

/** The invalidation log of a project. Deployments' migrations name the class. */
export class InvalidationLog extends DurableObject {
	#rust = new RustObject(() => new Log(this.ctx));

	/** @param {Uint8Array} request an `Append`; the response is an `Appended` */
	append(request) {
		return this.#rust.call((log) => log.append(request));
	}
}
