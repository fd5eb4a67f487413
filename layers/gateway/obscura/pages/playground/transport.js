// One HTTP request with the moments that fetch does not report: the upload's end, the first byte, the last.

/** Send a body; ``onPiece`` gets what has arrived. Resolves to the whole response, rejects if the connection fails. */
export function send(url, { method = "POST", headers, body, onPiece = () => {}, signal }) {
	return new Promise((resolve, reject) => {
		const request = new XMLHttpRequest();
		const begun = performance.now();
		const timings = {};
		const since = () => performance.now() - begun;
		request.open(method, url);
		for (const [name, value] of Object.entries(headers)) request.setRequestHeader(name, value);
		let seen = 0;
		const forward = () => {
			const text = request.responseText;
			if (text.length > seen) onPiece(text.slice(seen), request);
			seen = text.length;
		};
		const result = (stopped) => ({
			status: request.status,
			headers: readHeaders(request),
			text: request.responseText,
			timings: { ...timings, whole: since() },
			stopped,
		});
		request.upload.onload = () => (timings.upload = since());
		request.onreadystatechange = () => {
			if (request.readyState === XMLHttpRequest.HEADERS_RECEIVED) timings.firstByte = since();
		};
		request.onprogress = forward;
		request.onload = () => {
			forward();
			resolve(result(false));
		};
		request.onerror = () => reject(new Error("The gateway cannot be reached, or the connection broke."));
		signal?.addEventListener("abort", () => {
			const stopped = result(true);
			request.abort();
			resolve(stopped);
		});
		request.send(body);
	});
}

function readHeaders(request) {
	const lines = request.getAllResponseHeaders().matchAll(/^([^:\r\n]+): *(.*?)\r?$/gm);
	return Object.fromEntries([...lines].map(([, name, value]) => [name.toLowerCase(), value]));
}

/** Cut a stream of server-sent events into frames as they arrive (WHATWG HTML, "Server-sent events"). */
export class FrameReader {
	#left = "";

	/** Return the frames that a piece completes: {event, data, raw}. */
	read(piece) {
		const frames = (this.#left + piece).split(/\r?\n\r?\n/);
		this.#left = frames.pop();
		return frames.filter((raw) => raw.trim()).map((raw) => {
			const field = (name) =>
				raw.split(/\r?\n/).filter((line) => line.startsWith(`${name}:`)).map((line) => line.slice(name.length + 1).trimStart()).join("\n");
			return { event: field("event"), data: field("data"), raw };
		});
	}
}
