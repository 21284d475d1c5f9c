// Leads to the deployment's Grafana dashboard, or says how to set one up.

import { el } from "../dom.js";

/** A link needs a URL that a browser opens as a page. */
const isPage = (url) => /^https?:/.test(url ?? "");

export function dashboardLink() {
	const link = el("a", { target: "_blank", rel: "noopener", hidden: true }, "Grafana dashboard");
	const code = (text) => el("code", {}, text);
	const help = el(
		"details.dashboard",
		{},
		el("summary", {}, "Grafana dashboard"),
		el(
			"div.dashboard-help",
			{},
			el("p", {}, "This deployment names no dashboard. To have one here:"),
			el(
				"ol",
				{},
				el("li", {}, "Let Prometheus scrape ", code("/metrics"), "."),
				el("li", {}, "Import ", code("examples/monitoring/dashboard.json"), " of the repository into Grafana."),
				el("li", {}, "Set ", code("telemetry.dashboard_url"), " to its address."),
			),
			el("p.caption", {}, "The guide “Monitoring” in the documentation has the details."),
		),
	);
	help.addEventListener("keydown", (event) => {
		if (event.key !== "Escape" || !help.open) return;
		help.open = false;
		help.querySelector("summary").focus();
	});
	addEventListener("pointerdown", ({ target }) => {
		if (!help.contains(target)) help.open = false;
	});
	return {
		element: el("span", {}, link, help),
		/** @param {string | undefined} url */
		show(url) {
			link.hidden = !isPage(url);
			help.hidden = isPage(url);
			if (isPage(url)) link.href = url;
		},
	};
}
