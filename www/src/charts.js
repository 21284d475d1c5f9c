// Charts: the only entry. Their styles are those of uPlot and of the page.

export { Chart } from "./charts/chart.js";
export { curveChart, curveData, histogramChart, histogramData } from "./charts/distributions.js";
export { overview } from "./charts/overview.js";
export {
	percentileChart,
	percentileData,
	throughputChart,
	throughputData,
	tierChart,
	tierData,
} from "./charts/times.js";
