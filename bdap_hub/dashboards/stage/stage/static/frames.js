/* Messages as a websocket's frames: text, or the binary form of Jupyter's protocol where there are buffers. */
(function () {
  "use strict";

  function toFrame(message) {
    const buffers = (message.buffers || []).map((b) =>
      b instanceof ArrayBuffer ? new Uint8Array(b) : new Uint8Array(b.buffer, b.byteOffset, b.byteLength));
    const text = JSON.stringify({ ...message, buffers: undefined });
    if (!buffers.length) return text;
    const parts = [new TextEncoder().encode(text), ...buffers];
    const head = 4 * (parts.length + 1);
    const whole = new Uint8Array(head + parts.reduce((sum, part) => sum + part.byteLength, 0));
    const view = new DataView(whole.buffer);
    view.setUint32(0, parts.length);
    let at = head;
    parts.forEach((part, i) => {
      view.setUint32(4 * (i + 1), at);
      whole.set(part, at);
      at += part.byteLength;
    });
    return whole.buffer;
  }

  function fromFrame(data) {
    if (typeof data === "string") return { buffers: [], ...JSON.parse(data) };
    const view = new DataView(data);
    const count = view.getUint32(0);
    const offsets = [];
    for (let i = 0; i < count; i++) offsets.push(view.getUint32(4 * (i + 1)));
    offsets.push(data.byteLength);
    const message = JSON.parse(new TextDecoder().decode(new Uint8Array(data, offsets[0], offsets[1] - offsets[0])));
    // Each in a memory of its own: widgets look at all of it.
    message.buffers = offsets.slice(1, -1).map((from, i) => new DataView(data.slice(from, offsets[i + 2])));
    return message;
  }

  window.bdapFrames = { to: toFrame, from: fromFrame };
})();
