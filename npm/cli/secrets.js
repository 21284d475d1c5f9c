// The secrets of the environment and of URLs, which no message repeats.

const NAMES = [
	"FEATHEREDGE_OPERATOR_TOKEN",
	"FEATHEREDGE_TOKEN",
	"FEATHEREDGE_TOKENS",
	"FEATHEREDGE_ORIGIN_TOKEN",
	"FEATHEREDGE_ORIGIN_AUTHORIZATION",
	"FEATHEREDGE_WEBHOOK_AUTHORIZATION",
	"FEATHEREDGE_TRACES_AUTHORIZATION",
	"FEATHEREDGE_STORE_ENCRYPTION_KEYS",
];

/** A shorter one would be found in any text. */
const MIN_LENGTH = 6;

/** The user and the password of a URL. */
const CREDENTIALS = /\/\/[^/\s@]*@/g;

/** A text without the secrets, as they are or as in JSON. @param {string} text */
export function redacted(text) {
	let shown = text.replaceAll(CREDENTIALS, "//***@");
	for (const name of NAMES) {
		const secret = process.env[name] ?? "";
		const bare = secret.replace(/^(?:bearer|basic) +/i, "");
		for (const form of [secret, bare, JSON.stringify(bare).slice(1, -1)]) {
			if (form.length >= MIN_LENGTH) shown = shown.replaceAll(form, "***");
		}
	}
	return shown;
}
