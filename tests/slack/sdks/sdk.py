"""slack_sdk against the stand-in: the Web API, files, rate limits, Socket Mode with reconnects."""

import urllib.request

from slack_sdk import WebClient
from slack_sdk.errors import SlackApiError
from slack_sdk.http_retry.builtin_handlers import RateLimitErrorRetryHandler
from slack_sdk.socket_mode import SocketModeClient
from slack_sdk.socket_mode.response import SocketModeResponse

from hand import ALICE, API, APP, BOT, GENERAL, act, look, same, until

web = WebClient(token=BOT, base_url=API + "/")


def refused(call, **args):
    try:
        call(**args)
    except SlackApiError as error:
        return error.response["error"]
    return "ok"


def calls():
    who = web.auth_test()
    same("auth.test", (who["team_id"], who["bot_id"]), ("T0HERALD01", "B0HERALD01"))
    same("scopes", "chat:write" in who.headers["x-oauth-scopes"], True)
    same("users.info", web.users_info(user=ALICE)["user"]["name"], "alice")
    same("refused", refused(web.users_info, user="U0NOBODY01"), "user_not_found")
    same("groups", web.usergroups_list()["usergroups"][0]["handle"], "crew")
    same("members", len(web.usergroups_users_list(usergroup="S0CREW0001")["users"]), 2)
    same("bots.info", web.bots_info(bot="B0HERALD01")["bot"]["app_id"], "A0HERALD01")


def messages():
    root = web.chat_postMessage(channel=GENERAL, text="root", metadata={
        "event_type": "airut_reply", "event_payload": {"part": 1}})
    for number in range(5):
        web.chat_postMessage(channel=GENERAL, text=f"reply {number}", thread_ts=root["ts"])
    seen = []
    for page in web.conversations_replies(
            channel=GENERAL, ts=root["ts"], limit=2, include_all_metadata=True):
        seen += [one["text"] for one in page["messages"] if one["text"] != "root"]
    same("paging", seen, [f"reply {number}" for number in range(5)])
    first = web.conversations_replies(channel=GENERAL, ts=root["ts"], include_all_metadata=True)
    same("metadata", first["messages"][0]["metadata"]["event_payload"], {"part": 1})
    changed = web.chat_update(channel=GENERAL, ts=root["ts"], text="changed", blocks=[
        {"type": "section", "text": {"type": "mrkdwn", "text": "*changed*"}}])
    same("chat.update", changed["text"], "changed")
    web.reactions_add(channel=GENERAL, timestamp=root["ts"], name="eyes")
    same("twice", refused(web.reactions_add, channel=GENERAL, timestamp=root["ts"], name="eyes"),
         "already_reacted")
    web.reactions_remove(channel=GENERAL, timestamp=root["ts"], name="eyes")
    history = web.conversations_history(channel=GENERAL, limit=1)
    same("history", history["messages"][0]["reply_count"], 5)
    same("deleted", web.chat_delete(channel=GENERAL, ts=root["ts"])["ok"], True)


def files():
    shared = web.files_upload_v2(channel=GENERAL, filename="response.md", title="Response",
                                 content="# Hello", initial_comment="here")
    same("files_upload_v2", shared["files"][0]["title"], "Response")
    several = web.files_upload_v2(channel=GENERAL, file_uploads=[
        {"filename": "a.txt", "content": "a"}, {"filename": "b.bin", "content": b"\x00\xff"}])
    same("several files", [one["name"] for one in several["files"]], ["a.txt", "b.bin"])
    file = web.files_info(file=shared["files"][0]["id"])["file"]

    def fetch(headers):
        request = urllib.request.Request(file["url_private_download"], headers=headers)
        with urllib.request.urlopen(request) as answer:
            return answer.headers["content-type"], answer.read()
    same("download", fetch({"Authorization": f"Bearer {BOT}"}), ("text/markdown", b"# Hello"))
    same("without token", fetch({})[0], "text/html; charset=utf-8")


def limits():
    patient = WebClient(token=BOT, base_url=API + "/")
    patient.retry_handlers.append(RateLimitErrorRetryHandler(max_retry_count=1))
    act("faults", method="auth.test", kind="rate_limited", retry_after=1)
    same("rate limit obeyed", patient.auth_test()["ok"], True)
    outcomes = [call["outcome"] for call in look("calls?method=auth.test")["calls"]]
    same("rate limit seen", outcomes[-2:], ["ratelimited", "ok"])


def sockets():
    heard = []
    client = SocketModeClient(app_token=APP, web_client=web, ping_interval=1)

    def listener(client, request):
        client.send_socket_mode_response(SocketModeResponse(envelope_id=request.envelope_id))
        heard.append((request.type, request.retry_attempt, request.payload))
    client.socket_mode_request_listeners.append(listener)
    client.connect()
    until("a connection", lambda: look("sockets")["connections"] == 1)
    act("post", user=ALICE, channel=GENERAL, text="one")
    first = until("the event", lambda: [
        one for one in heard if one[2].get("event", {}).get("text") == "one"])[0]
    until("the acknowledgement", lambda: all(
        one["state"] != "waiting" for one in look("deliveries")["deliveries"]))
    same("received", first[0:2], ("events_api", 0))
    act("sockets/disconnect", reason="refresh_requested", close=True)
    act("post", user=ALICE, channel=GENERAL, text="two")
    until("the event after reconnecting", lambda: any(
        payload.get("event", {}).get("text") == "two" for _, _, payload in heard))
    same("reconnected", look("sockets")["connections"], 1)
    client.close()


calls()
messages()
files()
limits()
sockets()
