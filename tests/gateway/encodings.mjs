// Content codings of the origin's answers that nobody asked for: decoded, or refused with an error; and passed back as they came. The same for every
// host with a gateway.

import assert from "node:assert/strict";
import { after, before, describe, test } from "node:test";
import { brotliCompressSync, deflateSync, gzipSync, inflateSync } from "node:zlib";
import { answerFeatures, ask, column } from "../support/features.mjs";
import { startOrigin } from "../support/origin.mjs";
import { openRaw } from "../support/raw.mjs";

/** @param {{ start: (options: import("../support/worker.mjs").WorkerOptions) => Promise<import("../support/worker.mjs").Host> }} hosts */
export function testEncodings({ start }) {
	describe("an answer of the origin in a content coding that was not asked for", () => {
		let origin;
		let host;
		before(async () => {
			origin = await startOrigin();
			host = await start({ origin, vars: { views: { stats: { join_keys: ["driver_id"] } } } });
		});
		after(async () => {
			await host?.stop();
			await origin?.stop();
		});

		let driver = 0;
		/** Reads a row that nobody has, from an origin that encodes its answer so. */
		const read = async (coding, encode, hasLength = false) => {
			origin.answer((request) => {
				const body = encode(Buffer.from(JSON.stringify(answerFeatures(request).json)));
				const length = hasLength ? { "content-length": String(body.length) } : {};
				return { body, headers: { "content-encoding": coding, ...length } };
			});
			driver += 1;
			return host.post("/get-online-features", ask(["score"], [driver]));
		};

		for (const [coding, encode] of [
			["gzip", gzipSync],
			["x-gzip", gzipSync],
			["GZIP", gzipSync],
			["br", brotliCompressSync],
			["deflate", deflateSync],
			["Deflate", deflateSync],
			["identity", (body) => body],
		]) {
			test(`\`${coding}\` is undone`, async () => {
				for (const hasLength of [false, true]) {
					const reply = await read(coding, encode, hasLength);
					const text = await reply.text();
					assert.equal(reply.status, 200, text);
					assert.deepEqual(column(JSON.parse(text), "score"), [`score of ${driver}`]);
				}
			});
		}

		for (const [coding, encode] of [
			["zstd", (body) => body],
			["compress", (body) => body],
			["deflate, gzip", (body) => gzipSync(deflateSync(body))],
			["x".repeat(1_000), (body) => body],
		]) {
			test(`\`${coding.slice(0, 20)}\` is refused by its name, and the next answer is read`, async () => {
				const reply = await read(coding, encode);
				assert.equal(reply.status, 502);
				const text = await reply.text();
				assert.ok(text.includes(`content coding \`${coding.slice(0, 40)}\``), text);
				assert.equal((await read("identity", (body) => body)).status, 200);
			});
		}

		test("what is not in the coding that it says is refused", async () => {
			for (const coding of ["gzip", "deflate"]) {
				const reply = await read(coding, () => Buffer.from("no such thing"));
				assert.equal(reply.status, 502);
				const text = await reply.text();
				if (coding === "deflate") assert.match(text, /content coding `deflate`/);
			}
			assert.equal((await read("identity", (body) => body)).status, 200);
		});

		test("what is passed on comes back so that its client can read it", async () => {
			for (const [coding, encode, undo] of [
				["deflate", deflateSync, inflateSync],
				["zstd", (body) => body, (body) => body],
			]) {
				const body = encode(Buffer.from("as it came"));
				origin.answer({ body, headers: { "content-encoding": coding } });
				const raw = await openRaw(host.port);
				try {
					raw.send(["GET /registry HTTP/1.1", `host: 127.0.0.1:${host.port}`, "accept-encoding: deflate, zstd"]);
					const answer = await raw.answer();
					const bytes = Buffer.from(answer.body, "latin1");
					const isEncoded = answer.headers["content-encoding"] === coding;
					assert.equal((isEncoded ? undo(bytes) : bytes).toString(), "as it came", coding);
				} finally {
					raw.close();
				}
			}
		});
	});
}
