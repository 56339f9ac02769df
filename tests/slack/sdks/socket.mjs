// @slack/socket-mode against the stand-in: events, acknowledgements, renewal and loss of connections.

import { LogLevel, SocketModeClient } from "@slack/socket-mode";
import { ALICE, API, APP, GENERAL, act, look, same, until } from "./hand.mjs";

const client = new SocketModeClient({
  appToken: APP,
  logLevel: LogLevel.ERROR,
  // Also what it waits before it connects again.
  clientPingTimeout: 1_000,
  clientOptions: { slackApiUrl: `${API}/` },
});
const heard = [];
let silent = false;
client.on("slack_event", async ({ ack, type, body, retry_num: attempt, retry_reason: reason }) => {
  heard.push({ type, text: body.event?.text, attempt, reason });
  if (!silent) await ack();
});
await client.start();
same("connected", (await look("sockets")).connections, 1);

const hears = (text) => until(text, () => heard.find((one) => one.text === text));
await act("post", { user: ALICE, channel: GENERAL, text: "one" });
same("received", (await hears("one")).type, "events_api");
const settled = (state) => until(state, async () =>
  (await look("deliveries")).deliveries.every((one) => one.state === state));
await settled("acknowledged");
console.log("ok acknowledged");

silent = true;
await act("post", { user: ALICE, channel: GENERAL, text: "two" });
await until("the second attempt", () => heard.filter((one) => one.text === "two").length > 1);
silent = false;
const again = heard.filter((one) => one.text === "two")[1];
same("sent again", [again.attempt, again.reason], [1, "timeout"]);
await settled("acknowledged");

const connected = async () => (await look("sockets")).connections === 1;
await act("sockets/disconnect", { reason: "warning" });
await act("post", { user: ALICE, channel: GENERAL, text: "three" });
await hears("three");
console.log("ok reconnected after a goodbye");
await until("the new connection alone", connected);
await act("sockets/drop", {});
await act("post", { user: ALICE, channel: GENERAL, text: "four" });
await hears("four");
console.log("ok reconnected without a goodbye");
await client.disconnect();
