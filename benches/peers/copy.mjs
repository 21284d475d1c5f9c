// The limit: a fresh Buffer with a copy of an answer that is there already.

export class Copy {
	static title = "a fresh copy of the response";
	#answer;

	fill(_request, answer) {
		this.#answer = Buffer.from(JSON.stringify(answer));
	}

	serve() {
		return Buffer.from(this.#answer);
	}
}
