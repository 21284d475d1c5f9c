// The Durable Objects' classes under the Worker: the shards of the storage tier, the invalidation log, the merged windows. They move bytes;
// what is asked, stored and answered is Rust's (src/durable.rs).
//
// An object outlives the instance that its Rust is in, which any trap in the isolate replaces. Its invariant: no call enters what is left of
// an instance that was replaced. What Rust cannot read again from the object's storage is kept here.
//
// Whatever is exported here, only a Worker that is bound to the class can call.

import { DurableObject } from "cloudflare:workers";
import { InvalidationLog as Log, StorageShard as Shard, MergedWindows as Windows } from "featheredge-core";
import * as instance from "../runtime/instance.js";

/** Rust's part of an object, made anew from its storage in each new instance. */
class Resident {
	#make;
	#object;
	#generation = 0;

	/** @param {() => any} make */
	constructor(make) {
		this.#make = make;
	}

	/**
	 * What a call of it gives.
	 *
	 * @template T
	 * @param {(object: any) => T} call
	 */
	call(call) {
		try {
			if (this.#generation !== instance.generation) {
				this.#object = this.#make();
				this.#generation = instance.generation;
			}
			return call(this.#object);
		} catch (error) {
			console.error(error);
			// What it holds may be ahead of what is stored.
			this.#generation = 0;
			// What Rust has to say is a text.
			if (typeof error !== "string") instance.replace();
			throw new Error("the object could not do what it was called for");
		}
	}
}

/** The windows of all isolates, merged. */
export class MergedWindows extends DurableObject {
	#windows = new Uint8Array();
	#isStored = true;
	#resident = new Resident(() => new Windows(this.ctx, this.env.FEATHEREDGE));

	constructor(ctx, env) {
		super(ctx, env);
		ctx.blockConcurrencyWhile(async () => {
			this.#windows = (await ctx.storage.get("windows")) ?? this.#windows;
		});
	}

	/**
	 * Adds what an isolate sends; where that is nothing, gives all that was sent by any.
	 *
	 * @param {Uint8Array} news
	 */
	async merge(news) {
		if (news.length === 0) return this.#windows;
		const { merged, alarm } = this.#resident.call((windows) => ({
			merged: windows.merge(this.#windows, news, this.#isStored),
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
	#resident = new Resident(() => new Shard(this.ctx));

	constructor(ctx, env) {
		super(ctx, env);
		ctx.blockConcurrencyWhile(async () => {
			this.#hasAlarm = (await ctx.storage.getAlarm()) !== null;
		});
	}

	/** @param {Uint8Array} request a `Read`, which `Values` answer */
	read(request) {
		return this.#resident.call((shard) => shard.read(request));
	}

	/** @param {Uint8Array} request a `Write`, which a `Written` answers */
	async write(request) {
		const { answer, alarm } = this.#resident.call((shard) => ({
			answer: shard.write(request, this.#hasAlarm),
			alarm: shard.take_alarm(),
		}));
		this.#hasAlarm = true;
		await alarm;
		return answer;
	}

	async alarm() {
		const alarm = this.#resident.call((shard) => {
			shard.sweep();
			return shard.take_alarm();
		});
		this.#hasAlarm = alarm !== undefined;
		await alarm;
	}
}

/** The invalidation log of a project. Deployments know it by its class's name, in their migrations. */
export class InvalidationLog extends DurableObject {
	#resident = new Resident(() => new Log(this.ctx));

	/** @param {Uint8Array} request an `Append`, which an `Appended` answers */
	append(request) {
		return this.#resident.call((log) => log.append(request));
	}
}
