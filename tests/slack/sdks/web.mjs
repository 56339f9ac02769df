// @slack/web-api against the stand-in: calls, pages, files, rate limits.

import { WebClient, WebClientEvent } from "@slack/web-api";
import { ALICE, API, BOT, GENERAL, act, look, same } from "./hand.mjs";

const web = new WebClient(BOT, { slackApiUrl: `${API}/` });

const refused = (call) => call.then(() => "ok", (error) => error.data?.error ?? String(error));

const who = await web.auth.test();
same("auth.test", [who.team_id, who.bot_id], ["T0HERALD01", "B0HERALD01"]);
same("scopes", who.response_metadata.scopes.includes("chat:write"), true);
same("users.info", (await web.users.info({ user: ALICE })).user.name, "alice");
same("refused", await refused(web.users.info({ user: "U0NOBODY01" })), "user_not_found");

const blocks = [{ type: "section", text: { type: "mrkdwn", text: "*root*" } }];
const metadata = { event_type: "airut_reply", event_payload: { part: 1 } };
const root = await web.chat.postMessage({ channel: GENERAL, text: "root", blocks, metadata });
for (let number = 0; number < 5; number += 1) {
  await web.chat.postMessage({ channel: GENERAL, text: `reply ${number}`, thread_ts: root.ts });
}
const seen = [];
const thread = { channel: GENERAL, ts: root.ts, limit: 2, include_all_metadata: true };
for await (const page of web.paginate("conversations.replies", thread)) {
  seen.push(...page.messages.map((one) => one.text).filter((text) => text !== "root"));
}
same("paging", seen, [0, 1, 2, 3, 4].map((number) => `reply ${number}`));
const changed = await web.chat.update({ channel: GENERAL, ts: root.ts, text: "changed" });
same("chat.update", changed.text, "changed");
await web.reactions.add({ channel: GENERAL, timestamp: root.ts, name: "eyes" });
const again = web.reactions.add({ channel: GENERAL, timestamp: root.ts, name: "eyes" });
same("twice", await refused(again), "already_reacted");
await web.reactions.remove({ channel: GENERAL, timestamp: root.ts, name: "eyes" });

const shared = await web.filesUploadV2({
  channel_id: GENERAL, thread_ts: root.ts, filename: "response.md", title: "Response",
  file: Buffer.from("# Hello"), initial_comment: "here",
});
const file = shared.files[0].files[0];
same("filesUploadV2", file.title, "Response");
const fetched = await fetch(file.url_private_download, {
  headers: { Authorization: `Bearer ${BOT}` },
});
same("download", await fetched.text(), "# Hello");

let limited = 0;
web.on(WebClientEvent.RATE_LIMITED, (seconds) => { limited = seconds; });
await act("faults", { method: "auth.test", kind: "rate_limited", retry_after: 1 });
same("rate limit obeyed", (await web.auth.test()).ok, true);
same("rate limit seen", limited, 1);
const strict = new WebClient(BOT, { slackApiUrl: `${API}/`, rejectRateLimitedCalls: true });
await act("faults", { method: "auth.test", kind: "rate_limited", retry_after: 3 });
const error = await strict.auth.test().catch((error) => error);
same("rate limit told", [error.code, error.retryAfter], ["slack_webapi_rate_limited_error", 3]);
await act("faults", { method: "auth.test", kind: "status", status: 503 });
same("broken front end", (await web.auth.test()).ok, true);
const outcomes = (await look("calls?method=auth.test")).calls.map((call) => call.outcome);
same("record", outcomes.filter((outcome) => outcome === "ratelimited").length, 2);
