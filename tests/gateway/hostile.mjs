// What breaks HTTP, on either side, costs its own request and no later one. The same for every host with a gateway.

import assert from "node:assert/strict";
import { after, afterEach, before, describe, test } from "node:test";
import { answerFeatures, ask, column, FEAST, range, valueFor } from "../support/features.mjs";
import { openRaw, startRawOrigin } from "../support/raw.mjs";
import { until } from "../support/wait.mjs";

const HOST = "host: features.example.com";

const whole = (text) =>
	`HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: ${text.length}\r\n\r\n${text}`;
const last = (bytes) => ({ bytes, isLast: true });
const JSON_HEAD = "HTTP/1.1 200 OK\r\ncontent-type: application/json\r\n";

/**
 * Answers that are none: a read gets 502 for each, and what is passed on 502 too, or what there was of the answer. One in chunks that breaks off
 * is ended by workerd as if it were whole.
 */
const BROKEN = {
	"no HTTP": last("\x00\x01garbage\r\n\r\n"),
	"a page without a head": last("<html>everything is fine</html>"),
	"half a head": last("HTTP/1.1 200 OK\r\ncontent-ty"),
	"a head that is far too long": last(`HTTP/1.1 200 OK\r\n${"x: y\r\n".repeat(200_000)}`),
	"half a body": last(`${JSON_HEAD}content-length: 100\r\n\r\n{"a":`),
	"half a chunked body": last(`${JSON_HEAD}transfer-encoding: chunked\r\n\r\n5\r\n{"a":\r\n`),
	"a chunk size that is none": last(`${JSON_HEAD}transfer-encoding: chunked\r\n\r\nzz\r\n{}\r\n0\r\n\r\n`),
	"hints alone": last("HTTP/1.1 103 Early Hints\r\nlink: </a>\r\n\r\n"),
	"a change of protocol": "HTTP/1.1 101 Switching Protocols\r\nconnection: upgrade\r\nupgrade: websocket\r\n\r\n",
	"no class that HTTP has": "HTTP/1.1 999 Whatever\r\ncontent-length: 2\r\n\r\n{}",
	nothing: last(""),
};

/** What stands behind a complete answer, and is nobody's. */
const LEFT_OVER = {
	"bytes past the length": `${whole("{}")}junk`,
	"a second answer": `${whole("{}")}${whole('{"evil":1}')}`,
	"two lengths": "HTTP/1.1 200 OK\r\ncontent-length: 2\r\ncontent-length: 4\r\n\r\n{}{}",
};

/**
 * @param {object} hosts
 * @param {(options: import("../support/worker.mjs").WorkerOptions) => Promise<import("../support/worker.mjs").Host>} hosts.start
 * @param {boolean} hosts.readsAnswersApart whether the host tells one answer of the origin from another; workerd takes what is left behind an
 *   answer for the next one
 */
export function testHostile({ start, readsAnswersApart }) {
	describe("what breaks HTTP", () => {
		const well = ({ start, body }) =>
			whole(start.startsWith(`POST ${FEAST}`) ? JSON.stringify(answerFeatures({ json: JSON.parse(body) }).json) : "{}");
		let answering = well;
		let origin;
		let host;
		let driver = 0;
		/** Connections that end with their test. */
		const opened = [];
		const open = async () => {
			const raw = await openRaw(host.port);
			opened.push(raw);
			return raw;
		};
		before(async () => {
			origin = await startRawOrigin((request) => answering(request));
			const vars = {
				auth: { anonymous_scopes: ["read", "write"] },
				views: { stats: { join_keys: ["driver_id"], sources: [] } },
				breaker: { enabled: false },
				l2: { enabled: false },
			};
			host = await start({ origin, vars });
		});
		afterEach(() => {
			for (const raw of opened.splice(0)) raw.close();
			origin.requests.length = 0;
			answering = well;
		});
		after(async () => {
			await host?.stop();
			await origin?.stop();
		});
		const read = () => {
			driver += 1;
			const body = JSON.stringify(ask(["a"], [driver]));
			return {
				driver,
				body,
				bytes: `POST ${FEAST} HTTP/1.1\r\n${HOST}\r\ncontent-length: ${body.length}\r\n\r\n${body}`,
			};
		};
		const isRight = ({ status, body }, driver) => {
			assert.equal(status, 200, body);
			assert.deepEqual(column(JSON.parse(body), "a"), [valueFor("a", driver)]);
		};
		/** That reads, and what is passed on, are served as ever. */
		const isWell = async (why) => {
			const raw = await open();
			for (const _ of range(3)) {
				const { driver, bytes } = read();
				raw.socket.write(bytes);
				isRight(await raw.answer(), driver);
				raw.send(["GET /registry HTTP/1.1", HOST]);
				assert.equal((await raw.answer()).body, "{}", why);
			}
		};

		test("a chunk size that is none is told so, and harms nobody else", async () => {
			for (const size of ["zz", "-1", "fffffffffffffffff"]) {
				for (const path of [FEAST, "/push"]) {
					const raw = await open();
					raw.send([`POST ${path} HTTP/1.1`, HOST, "transfer-encoding: chunked"], `${size}\r\n{}\r\n0\r\n\r\n`);
					assert.equal((await raw.answer()).status, 400, `${path}: ${size}`);
				}
			}
			assert.equal(origin.requests.length, 0);
			await isWell();
		});

		test("a transfer coding that nobody takes off is refused", async () => {
			for (const path of [FEAST, "/push"]) {
				const raw = await open();
				raw.send([`POST ${path} HTTP/1.1`, HOST, "transfer-encoding: gzip, chunked"], "2\r\n{}\r\n0\r\n\r\n");
				assert.ok((await raw.answer()).status >= 500);
			}
			assert.equal(origin.requests.length, 0);
			await isWell();
		});

		test("who goes in the middle of a body has asked for nothing", async () => {
			for (const path of [FEAST, "/push", "/search"]) {
				const raw = await open();
				raw.send([`POST ${path} HTTP/1.1`, HOST, "content-length: 1000"], '{"a":');
				raw.close();
			}
			await isWell();
			assert.ok(origin.requests.every(({ body }) => !body.includes('{"a":')));
		});

		test("a body of unknown length that breaks off once it is passed on never reaches the origin whole", async () => {
			const chunk = "x".repeat(1_500_000);
			for (const path of [FEAST, "/get-online-features?status=true"]) {
				const raw = await open();
				const { length } = chunk;
				const before = origin.received();
				raw.send(
					[`POST ${path} HTTP/1.1`, HOST, "transfer-encoding: chunked"],
					`${length.toString(16)}\r\n${chunk}\r\n`,
				);
				await until(() => origin.received() - before >= length);
				raw.close();
				await isWell();
				assert.ok(
					origin.requests.every(({ body }) => !body.includes("xxx")),
					path,
				);
			}
		});

		test("who sends byte by byte is answered, and holds up nobody", async () => {
			const raw = await open();
			const { driver, bytes } = read();
			for (const byte of bytes.slice(0, -1)) raw.socket.write(byte);
			await isWell();
			raw.socket.write(bytes.slice(-1));
			isRight(await raw.answer(), driver);
		});

		test("bodies that never end hold no more than there is room for, and who sends at once is served", async () => {
			const part = "x".repeat(900_000);
			const slow = await Promise.all(range(50).map(open));
			for (const raw of slow) raw.send([`POST ${FEAST} HTTP/1.1`, HOST, "content-length: 1000000"], part);
			const first = await Promise.any(slow.map((raw) => raw.answer()));
			assert.equal(first.status, 503);
			assert.equal(first.headers["retry-after"], "1");
			await isWell();
			for (const raw of slow) raw.close();
			const raw = await open();
			const { driver, body } = read();
			const padded = body.replace("}", `,"ignored_column":["${part}"]}`);
			raw.send([`POST ${FEAST} HTTP/1.1`, HOST, `content-length: ${padded.length}`], padded);
			isRight(await raw.answer(), driver);
		});

		test("requests that are sent at once are answered in their order", async () => {
			const raw = await open();
			const reads = range(5).map(read);
			raw.socket.write(reads.map(({ bytes }) => bytes).join(""));
			for (const { driver } of reads) isRight(await raw.answer(), driver);
		});

		for (const [what, bytes] of Object.entries(BROKEN)) {
			test(`an origin that answers ${what}`, async () => {
				answering = () => bytes;
				const raw = await open();
				raw.socket.write(read().bytes);
				assert.equal((await raw.answer()).status, 502);
				for (const lines of [
					["GET /registry HTTP/1.1", HOST],
					["POST /push HTTP/1.1", HOST, "content-length: 2"],
				]) {
					const own = await open();
					own.send(lines, lines.length === 3 ? "{}" : "");
					// What has begun well can only break off.
					const { status } = await own.answer().catch(() => ({ status: 502 }));
					assert.ok(
						status === 502 || (status === 200 && !readsAnswersApart && what.includes("chunk")),
						`${lines[0]}: ${status}`,
					);
				}
				answering = well;
				await isWell(what);
			});
		}

		for (const [what, bytes] of Object.entries(LEFT_OVER)) {
			test(`an origin that answers with ${what}`, { skip: !readsAnswersApart && "the runtime's own" }, async () => {
				answering = () => bytes;
				for (const _ of range(2)) {
					const raw = await open();
					raw.send(["GET /registry HTTP/1.1", HOST]);
					assert.notEqual((await raw.answer()).body, '{"evil":1}');
				}
				answering = well;
				await isWell(what);
			});
		}

		test("many hints before an answer are waited past", async () => {
			answering = (request) => "HTTP/1.1 103 Early Hints\r\nlink: </a>\r\n\r\n".repeat(1_000) + well(request);
			await isWell();
		});

		test("nothing of it is left", async () => {
			for (const bytes of Object.values(BROKEN)) {
				answering = () => bytes;
				const [whole, half] = [await open(), await open()];
				whole.socket.write(read().bytes);
				half.socket.write(read().bytes.slice(0, -1));
				assert.equal((await whole.answer()).status, 502);
				half.close();
			}
			await until(async () => {
				const text = await (await fetch(`${host.url}/metrics`)).text();
				const [, waiting] = /^featheredge_pending_requests (\d+)$/m.exec(text);
				const [, calls] = /^featheredge_origin_calls_under_way (\d+)$/m.exec(text);
				return waiting === "0" && calls === "0";
			});
		});
	});
}
