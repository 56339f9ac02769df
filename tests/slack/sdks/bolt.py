"""slack_bolt against the stand-in: assistant threads, mentions, buttons, commands."""

from slack_bolt import App, Assistant
from slack_bolt.adapter.socket_mode import SocketModeHandler
from slack_sdk import WebClient

from hand import ALICE, API, APP, BOT, GENERAL, act, look, same, until

heard = []
app = App(client=WebClient(token=BOT, base_url=API + "/"), token=BOT)
assistant = Assistant()


@assistant.thread_started
def started(say, set_suggested_prompts, get_thread_context):
    heard.append(("started", get_thread_context()))
    say("Hello! How can I help you today?")
    set_suggested_prompts(prompts=[{"title": "Fix it", "message": "Fix the build"}])


@assistant.user_message
def user_message(payload, set_status, set_title, say):
    set_status("is working on this...")
    set_title(payload["text"])
    say(f"did {payload['text']}")
    heard.append(("asked", payload["text"]))


@app.event("app_mention")
def mentioned(event, say):
    say(text="on it", thread_ts=event["ts"], blocks=[{
        "type": "actions", "elements": [{
            "type": "button", "text": {"type": "plain_text", "text": "Stop"},
            "action_id": "airut_stop", "value": "0123abcd"}]}])
    heard.append(("mentioned", event["text"]))


@app.event("message")
def message(event):
    heard.append(("message", event.get("subtype")))


@app.action("airut_stop")
def stop(ack, action, body):
    ack()
    heard.append(("stopped", action["value"], body["user"]["id"]))


@app.command("/airut")
def command(ack, command):
    ack("listening")
    heard.append(("commanded", command["text"]))


def told(what):
    until(what, lambda: what in heard)
    print(f"ok {what}", flush=True)


app.use(assistant)
handler = SocketModeHandler(app, APP)
handler.client.web_client = app.client
handler.connect()
until("a connection", lambda: look("sockets")["connections"] == 1)

opened = act("assistant", user=ALICE)
until("the greeting", lambda: any(one[0] == "started" for one in heard))
act("post", user=ALICE, channel=opened["channel"], thread_ts=opened["thread_ts"], text="a thing")
told(("asked", "a thing"))
thread = look("threads")["threads"][0]
same("status", (thread["statuses"], thread["status"]), (["is working on this..."], ""))
same("title", thread["title"], "a thing")
same("prompts", thread["prompts"][0]["title"], "Fix it")
texts = [one["text"] for one in look(f"channel?id={opened['channel']}")["messages"]]
same("thread", texts[1:], ["Hello! How can I help you today?", "a thing", "did a thing"])

act("post", user=ALICE, channel=GENERAL, text="<@U0HERALD01> please")
told(("mentioned", "<@U0HERALD01> please"))
told(("message", None))
answer = until("the answer", lambda: [
    one for one in look(f"channel?id={GENERAL}")["messages"] if one["text"] == "on it"])[0]
act("press", user=ALICE, channel=GENERAL, ts=answer["ts"], action_id="airut_stop")
told(("stopped", "0123abcd", ALICE))
act("command", user=ALICE, channel=GENERAL, command="/airut", text="status")
told(("commanded", "status"))
until("all acknowledgements", lambda: all(
    one["state"] == "acknowledged" for one in look("deliveries")["deliveries"]))
handler.close()
