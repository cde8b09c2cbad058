/*
 * Asks again for the tiles of maps that the browser could not get. Leaflet never does: where the network changes (another
 * Wi-Fi, a VPN) or the service is busy for a moment, a hole would stay until one pans.
 * Leaflet hears of the first failure of a tile and of its success, not of those between.
 */
(() => {
  "use strict";

  const WAITS = [1000, 5000]; // ms, half to once as long
  const asked = new WeakMap();

  function failed(event) {
    const tile = event.target;
    if (!(tile instanceof HTMLImageElement) || !tile.classList.contains("leaflet-tile")) return;
    const address = tile.src;
    const known = asked.get(tile);
    const count = known?.address === address ? known.count : 0;
    if (count) event.stopImmediatePropagation();
    asked.set(tile, { address, count: count + 1 });
    if (count >= WAITS.length) return;
    setTimeout(() => {
      if (tile.isConnected && tile.src === address) tile.src = address;
    }, WAITS[count] * (0.5 + Math.random() / 2));
  }

  document.addEventListener("error", failed, true); // such an event does not bubble
})();
