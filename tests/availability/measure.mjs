// Two clients of one host: A makes mistakes all the time, B none. What B gets is what is measured.

import { Agent, request as httpRequest } from "node:http";
import { HOSTS } from "../support/hosts.mjs";
import { ORIGINS } from "./origins.mjs";

/** Between two requests of A, in milliseconds. */
const MISTAKE_EVERY_MS = 3;
/** How many connections A has. What it asks for past what the origin can answer is too much, whether it is right or wrong. */
const CONNECTIONS = 8;
/** Between two requests of one kind of B's, in milliseconds. */
const PAUSE_MS = 5;
/** Longer than any deadline. */
const SILENCE_MS = 20_000;
/** Of B's failures as many are told in words. */
const MAX_EXAMPLES = 5;

const wait = (ms) => new Promise((resolve) => setTimeout(resolve, ms));

/** Sends a call; resolves with the status and the text, or the error's code in place of the status. */
function send(url, agent, { method, path, body }) {
	return new Promise((resolve) => {
		const bytes = body === undefined ? "" : JSON.stringify(body);
		const headers = { "content-type": "application/json", "content-length": Buffer.byteLength(bytes) };
		const outgoing = httpRequest(`${url}${path}`, { method, agent, headers });
		const fail = (error) => resolve({ status: error.code ?? error.message, text: "" });
		outgoing.setTimeout(SILENCE_MS, () => outgoing.destroy(new Error("silence")));
		outgoing.on("error", fail);
		outgoing.on("response", async (incoming) => {
			let text = "";
			try {
				for await (const chunk of incoming.setEncoding("utf8")) text += chunk;
				resolve({ status: incoming.statusCode, text });
			} catch (error) {
				fail(error);
			}
		});
		outgoing.end(bytes);
	});
}

const percentile = (sorted, share) => sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * share))] ?? 0;

/**
 * @typedef {object} Availability
 * @property {Record<string, number>} mistakes how many requests of A got which status
 * @property {Record<string, { sent: number, failed: number, p50_ms: number, p99_ms: number }>} good of B's reads, pushes and passed-on reads
 * @property {number} failed of B's in all
 * @property {string[]} examples of what these got
 * @property {number} breaker_opened how often the origin was left alone
 *
 * @param {"worker" | "serve"} hostName
 * @param {"closing" | "feast"} originName
 * @param {number} seconds
 * @returns {Promise<Availability>}
 */
export async function availabilityOf(hostName, originName, seconds) {
	const origin = await ORIGINS[originName]();
	try {
		const host = await HOSTS[hostName]({
			origin,
			vars: { ...origin.vars, auth: { anonymous_scopes: ["read", "write"] } },
		});
		try {
			return await measure(host.url, origin, seconds);
		} finally {
			await host.stop();
		}
	} finally {
		await origin.stop();
	}
}

async function measure(url, origin, seconds) {
	const agents = { a: new Agent({ keepAlive: true, maxSockets: CONNECTIONS }), b: new Agent({ keepAlive: true }) };
	const mistakes = {};
	const examples = [];
	const end = performance.now() + seconds * 1_000;
	let underWay = 0;
	const mistake = async (call) => {
		underWay += 1;
		const { status } = await send(url, agents.a, call);
		mistakes[status] = (mistakes[status] ?? 0) + 1;
		underWay -= 1;
	};
	const clientA = async () => {
		for (let turn = 0; performance.now() < end; await wait(MISTAKE_EVERY_MS)) {
			if (underWay < CONNECTIONS) mistake(origin.mistakes[turn++ % origin.mistakes.length]);
		}
		while (underWay > 0) await wait(10);
	};
	const clientB = async (next) => {
		const told = { sent: 0, failed: 0 };
		const took = [];
		while (performance.now() < end) {
			const { isRight, ...call } = next(told.sent);
			const began = performance.now();
			const { status, text } = await send(url, agents.b, call);
			took.push(performance.now() - began);
			told.sent += 1;
			if (status !== 200 || !isRight(text)) {
				told.failed += 1;
				if (examples.length < MAX_EXAMPLES)
					examples.push(`${call.method} ${call.path}: ${status} ${text.slice(0, 200)}`);
			}
			await wait(PAUSE_MS);
		}
		took.sort((left, right) => left - right);
		return { ...told, p50_ms: percentile(took, 0.5), p99_ms: percentile(took, 0.99) };
	};
	try {
		const [reads, pushes, passed] = await Promise.all([
			clientB(() => origin.read()),
			clientB(() => origin.push()),
			clientB((turn) => origin.passed[turn % origin.passed.length]),
			clientA(),
		]);
		const { text: metrics } = await send(url, agents.b, { method: "GET", path: "/metrics" });
		const [, opened] = /^featheredge_tier_breaker_opened_total\{tier="origin"\} (\d+)$/m.exec(metrics);
		const good = { reads, pushes, passed };
		return {
			mistakes,
			good,
			failed: Object.values(good).reduce((sum, { failed }) => sum + failed, 0),
			examples,
			breaker_opened: Number(opened),
		};
	} finally {
		for (const agent of Object.values(agents)) agent.destroy();
	}
}
