// The state of a request that is under way: the elapsed time, and the button that cancels it.

import { byId } from "../dom.js";
import { milliseconds } from "../headers.js";

const REFRESH_MS = 100;

/**
 * Shows that a request is under way, until the returned function is called.
 *
 * @returns {{ signal: AbortSignal, end: () => void }} aborted by *Cancel*
 */
export function startWaiting() {
	const [answer, send, cancel, elapsed] = ["answer", "send", "cancel", "elapsed"].map(byId);
	const controller = new AbortController();
	const startedAt = performance.now();
	const show = () => (elapsed.textContent = milliseconds(Math.round(performance.now() - startedAt)));
	const onCancel = () => controller.abort();
	answer.setAttribute("aria-busy", "true");
	send.dataset.state = "sending";
	send.setAttribute("aria-disabled", "true");
	byId("send-label").textContent = "Sending";
	cancel.hidden = false;
	elapsed.hidden = false;
	show();
	const timer = setInterval(show, REFRESH_MS);
	cancel.addEventListener("click", onCancel);
	return {
		signal: controller.signal,
		end() {
			clearInterval(timer);
			cancel.removeEventListener("click", onCancel);
			// A hidden button would take the focus with it.
			if (document.activeElement === cancel) send.focus();
			cancel.hidden = true;
			elapsed.hidden = true;
			answer.removeAttribute("aria-busy");
			delete send.dataset.state;
			send.removeAttribute("aria-disabled");
		},
	};
}
