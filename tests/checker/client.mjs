// One HTTP request, and when everything of it happened. By node:http, so that a connection can be cut at any moment, and read slowly.

import { Agent, request as httpRequest } from "node:http";

/** Connections rest for less long than the product keeps them, which is five seconds. */
const IDLE_MS = 2_500;
/** No request may take longer, whatever it asks for: the product has lost it. */
const LOST_AFTER_MS = 15_000;

/**
 * @typedef {object} Exchange
 * @property {number} sentAt when it was begun
 * @property {number} [headAt] when the head of the answer came
 * @property {number} endAt when it was over
 * @property {number} [status]
 * @property {import("node:http").IncomingHttpHeaders} [headers]
 * @property {{ at: number, text: string }[]} lines what came, with the moment when each line was whole; of an answer that is not by lines, one
 * @property {"done" | "aborted" | "lost" | "broken"} end
 * @property {string} [why]
 */

export class Client {
	#agent = new Agent({ keepAlive: true, maxSockets: 500, timeout: IDLE_MS });

	/**
	 * @param {string} url of the product
	 * @param {{ method?: string, path: string, body?: string, headers?: Record<string, string>, abortAfterMs?: number, pauseMs?: number,
	 *   isByLines?: boolean }} what `pauseMs` is waited for between parts of the answer
	 * @returns {Promise<Exchange>}
	 */
	send(url, { method = "POST", path, body, headers = {}, abortAfterMs, pauseMs = 0, isByLines = false }) {
		return new Promise((resolve) => {
			const exchange = { sentAt: performance.now(), lines: [], end: "done" };
			const request = httpRequest(`${url}${path}`, {
				method,
				agent: this.#agent,
				headers: {
					...(body !== undefined && { "content-type": "application/json", "content-length": Buffer.byteLength(body) }),
					...headers,
				},
			});
			const end = (how, why) => {
				if (exchange.endAt !== undefined) return;
				clearTimeout(lost);
				clearTimeout(abort);
				Object.assign(exchange, { endAt: performance.now(), end: how, why });
				resolve(exchange);
			};
			const cut = (how) => {
				end(how);
				request.destroy();
			};
			const lost = setTimeout(() => cut("lost"), LOST_AFTER_MS);
			const abort = abortAfterMs === undefined ? undefined : setTimeout(() => cut("aborted"), abortAfterMs);
			request.on("error", (error) => {
				// A connection that had rested may be closed just as it is used again (RFC 9112, 9.3.1): nobody knows what came of the request.
				const isOfRest = request.reusedSocket && error.code === "ECONNRESET" && exchange.status === undefined;
				end(isOfRest ? "aborted" : "broken", error.code ?? error.message);
			});
			request.on("response", (response) => {
				Object.assign(exchange, { headAt: performance.now(), status: response.statusCode, headers: response.headers });
				let rest = "";
				response.setEncoding("utf8");
				response.on("data", (text) => {
					rest += text;
					if (isByLines) {
						const lines = rest.split("\n");
						rest = lines.pop();
						const at = performance.now();
						for (const line of lines) exchange.lines.push({ at, text: line });
					}
					if (pauseMs > 0) {
						response.pause();
						setTimeout(() => response.resume(), pauseMs);
					}
				});
				response.on("end", () => {
					if (rest !== "") exchange.lines.push({ at: performance.now(), text: rest });
					end("done");
				});
				response.on("error", (error) => end("broken", error.code ?? error.message));
				response.on("aborted", () => end("broken", "cut off"));
			});
			request.end(body);
		});
	}

	close() {
		this.#agent.destroy();
	}
}
