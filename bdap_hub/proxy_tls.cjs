// Loaded into the proxy before its own code. Node would hold a server's certificate against the request's Host header,
// which is the public name; what is to be proven is the address that the proxy connects to.
const https = require("node:https");

https.Agent = class extends https.Agent {
  constructor(options) {
    super({ servername: "", ...options });
  }
};
