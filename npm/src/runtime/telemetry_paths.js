/** The paths of telemetry reports, which need the scope `read`. */
export const TELEMETRY_PATHS = new Set(["/metrics", "/v1/stats", "/v1/sla", "/v1/alerts"]);
