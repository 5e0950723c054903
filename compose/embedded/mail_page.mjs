// MailDev answers its start page with 404 to whoever does not ask for HTML, as curl and health checks do not.
import http from "node:http";

const emit = http.Server.prototype.emit;

http.Server.prototype.emit = function (event, ...args) {
  if (event === "request" && args[0].url === "/") {
    args[0].headers.accept = "text/html";
  }
  return emit.call(this, event, ...args);
};
