// @slack/bolt against the stand-in: assistant threads, mentions, buttons, commands.

import bolt from "@slack/bolt";
import { ALICE, API, APP, BOT, GENERAL, act, look, same, until } from "./hand.mjs";

const app = new bolt.App({
  token: BOT,
  appToken: APP,
  socketMode: true,
  logLevel: bolt.LogLevel.ERROR,
  clientOptions: { slackApiUrl: `${API}/` },
});
const heard = [];
const hears = async (...what) => {
  const wanted = JSON.stringify(what);
  await until(wanted, () => heard.some((one) => JSON.stringify(one) === wanted));
  console.log(`ok ${wanted}`);
};

app.assistant(new bolt.Assistant({
  threadStarted: async ({ say, setSuggestedPrompts, saveThreadContext }) => {
    await say("Hello! How can I help you today?");
    await saveThreadContext();
    await setSuggestedPrompts({ prompts: [{ title: "Fix it", message: "Fix the build" }] });
    heard.push(["started"]);
  },
  userMessage: async ({ message, setStatus, setTitle, say }) => {
    await setStatus("is working on this...");
    await setTitle(message.text);
    await say(`did ${message.text}`);
    heard.push(["asked", message.text]);
  },
}));
app.event("app_mention", async ({ event, say }) => {
  const button = {
    type: "button", text: { type: "plain_text", text: "Stop" },
    action_id: "airut_stop", value: "0123abcd",
  };
  const blocks = [{ type: "actions", elements: [button] }];
  await say({ text: "on it", thread_ts: event.ts, blocks });
  heard.push(["mentioned", event.text]);
});
app.action("airut_stop", async ({ ack, action, body }) => {
  await ack();
  heard.push(["stopped", action.value, body.user.id]);
});
app.command("/airut", async ({ ack, command }) => {
  await ack("listening");
  heard.push(["commanded", command.text]);
});
await app.start();

const opened = await act("assistant", { user: ALICE, context: GENERAL });
await hears("started");
const inside = { user: ALICE, channel: opened.channel, thread_ts: opened.thread_ts };
await act("post", { ...inside, text: "a thing" });
await hears("asked", "a thing");
const [thread] = (await look("threads")).threads;
same("status", [thread.statuses, thread.status], [["is working on this..."], ""]);
same("title", thread.title, "a thing");
same("prompts", thread.prompts[0].title, "Fix it");

await act("post", { user: ALICE, channel: GENERAL, text: "<@U0HERALD01> please" });
await hears("mentioned", "<@U0HERALD01> please");
const { messages } = await look(`channel?id=${GENERAL}`);
const answer = messages.find((one) => one.text === "on it");
await act("press", { user: ALICE, channel: GENERAL, ts: answer.ts, action_id: "airut_stop" });
await hears("stopped", "0123abcd", ALICE);
await act("command", { user: ALICE, channel: GENERAL, command: "/airut", text: "status" });
await hears("commanded", "status");
await until("all acknowledgements", async () =>
  (await look("deliveries")).deliveries.every((one) => one.state === "acknowledged"));
await app.stop();
